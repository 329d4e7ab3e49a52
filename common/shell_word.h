// What is printed to be pasted into a shell: one word, whatever is in it. A name from a server may hold
// anything but NUL and a slash, and whoever pastes a command must run that command and no other.
#pragma once

#include <string>
#include <string_view>

namespace litepull {

// `text` as one word that sh, dash, bash, zsh and fish (3.4 and newer) read as just these bytes. A word that
// needs no quotes has none. It is safe to print: characters that may not be shown come out as octal numbers
// for printf(1). Line breaks at the very end are lost, as in every shell's substitution.
std::string shell_word(std::string_view text);

// The same for a path that is an argument: one that begins with "-" begins with "./" then.
std::string shell_path(std::string_view path);

}  // namespace litepull
