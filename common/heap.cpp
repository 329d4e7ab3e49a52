#include "common/heap.h"

#include <cstdlib>  // defines __GLIBC__ where that is the C library
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace litepull {

void keep_large_buffers() {
#ifdef __GLIBC__
  constexpr int kBytes = 32 << 20;  // the most that M_MMAP_THRESHOLD takes on 64 bits
  mallopt(M_MMAP_THRESHOLD, kBytes);
  mallopt(M_TRIM_THRESHOLD, kBytes);
#endif
}

void return_free_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace litepull
