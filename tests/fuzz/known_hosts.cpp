// Fuzzes a file of trusted host keys, which may come from anywhere. The first line of the input is the host's
// name.
#include "client/keys/known_hosts.h"

#include <string>

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace litepull;
  const std::string input(fuzz::as_text({data, size}));
  const std::size_t end = std::min(input.find('\n'), input.size());
  const std::string name = input.substr(0, std::min(end, std::size_t{300}));
  const std::string text = input.substr(std::min(end + 1, input.size()));
  const PublicKey key{"ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIFAghk1ayEgwyiOZk+3z4IYULDjYWDMJw9AMK7d6au8R"};

  const std::vector<KnownLine> lines = known_lines(text, "known_hosts", name);
  std::size_t last = 0;
  for (const KnownLine& line : lines) {
    invariant(line.number > last, "lines out of their order");
    last = line.number;
  }
  const Judgement judgement = judge(lines, key);
  invariant((judgement.standing == Standing::kUnknown) == !judgement.line.has_value(),
            "a verdict without a line");
  if (judgement.standing == Standing::kTrusted)
    invariant(!judgement.line->is_excluded && judgement.line->marker == LineMarker::kNone &&
                  judgement.line->key == key.base64 && text.find(key.type) != std::string::npos,
              "a key that no line has is trusted");
  if (judgement.standing == Standing::kTrusted) ++fuzz::accepted;
  for (const std::string& type : known_types(lines)) invariant(!type.empty(), "a key of no type");
  return 0;
}
