#include "client/preflight/unmatched_json.h"

#include "common/error.h"
#include "common/unmatched_text.h"

namespace litepull {

nlohmann::ordered_json unmatched_json(const Unmatched& unmatched) {
  nlohmann::ordered_json out;
  out["databases"] = count_of(unmatched);
  out["complete"] = unmatched.end.empty();
  out["patterns"] = nlohmann::ordered_json::array();
  for (const Unmatched::Group& group : unmatched.groups)
    out["patterns"].push_back({{"pattern", pasteable_glob(group.pattern)},
                               {"databases", group.databases},
                               {"example", printable(group.example)}});
  return out;
}

}  // namespace litepull
