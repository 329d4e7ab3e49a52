// What a snapshot's directory must be, whatever happened to the run that made it, and what must not change.
#pragma once

#include <string>

namespace litepull::test {

// XXH3-128 of a file, as `xxhsum -H2` prints it.
std::string xxh128_of(const std::string& path);

// Why the directory is not a whole snapshot: its manifest names each file that is there, with its size and
// digest, and no other. Empty when it is whole.
std::string why_not_whole(const std::string& snapshot);

// One line for each entry below `directory`, with mode and content; equal when nothing has changed.
std::string fingerprint(const std::string& directory);

// Like listing(), without what a busy app changes all the time: sizes, and rollback journals.
std::string names_and_owners(const std::string& directory);

}  // namespace litepull::test
