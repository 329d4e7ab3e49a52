// Fuzzes the output of `ssh -G`, which may come from a configuration of another person.
#include "client/keys/openssh_config.h"

#include <string>

#include "client/base/host_name.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace litepull;
  const OpenSshQuery query{"", "shop.example", "", {}, 15};
  const std::string answer(fuzz::as_text({data, size}));
  fuzz::accepts({ErrorKind::kConfiguration}, [&] {
    const OpenSshHost host = parse_openssh_answer(answer, query);
    invariant(is_host(host.host) && is_user(host.user), "a name that a shell could read otherwise");
    invariant(!host.trust.name.empty() && host.trust.name.find_first_of(" ,*?!#|\n") == std::string::npos,
              "a name that a line of known_hosts could not hold");
  });
  return 0;
}
