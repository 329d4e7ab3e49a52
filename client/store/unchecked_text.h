// What a person is told of a database that is sound as far as it could be checked: one line, whatever was
// left out.
#pragma once

#include <string>
#include <vector>

namespace litepull {

// `sound as far as it could be checked; left out: index "i" of table "names": needs ...; and 3 more`, of at
// least one part.
std::string unchecked_text(const std::vector<std::string>& parts);

// The same of tables whose foreign keys could not be looked up.
std::string foreign_keys_unchecked_text(const std::vector<std::string>& tables);

}  // namespace litepull
