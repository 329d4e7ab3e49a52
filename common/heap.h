// How malloc treats the large buffers that bulk data goes through.
#pragma once

namespace litepull {

// To be called first thing in main. glibc's malloc maps large buffers one by one (those of 128 KiB and more,
// until it has learned of larger ones) and hands what is free at the heap's end back to the kernel, again and
// again. The pages of such buffers are then zeroed over and over by page faults. And a mapped one begins 16
// bytes into a page: copying the beginning of a page to there, which read(2) of a cached file does with each,
// takes AMD's processors since Zen 3 four times as long as to nearly any other place
// (https://sourceware.org/bugzilla/show_bug.cgi?id=30994). After this call buffers of less than 32 MiB are
// cut from the heap, and its free end is kept up to that size. Measured on such a processor, with a night's
// changes in 1 GB: 0.75 s of processor time in place of 1.4 for the agent, and of 1.1 for the client. With
// other C libraries than glibc nothing is done.
void keep_large_buffers();

}  // namespace litepull
