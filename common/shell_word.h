// Quotes text that is printed to be pasted into a shell, as one word, whatever is in it. A name from a server
// may hold anything but NUL and a slash, and a pasted command must run exactly as it was meant.
#pragma once

#include <string>
#include <string_view>

namespace litepull {

// Returns `text` as one word that sh, dash, bash, zsh and fish (3.4 and newer) read as exactly these bytes. A
// word that needs no quotes gets none. The result is safe to print: characters that must not be shown become
// octal numbers for printf(1). Line breaks at the very end are lost, as in every shell's substitution.
std::string shell_word(std::string_view text);

// The same for a path that is an argument. A path that begins with "-" then begins with "./-".
std::string shell_path(std::string_view path);

}  // namespace litepull
