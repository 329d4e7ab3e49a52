// The words of a command line before CLI11 reads them: which command is meant, what is mistyped and what is
// missing. Everything that is wrong is said at once, with a line to type instead. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/error.h"

namespace litepull {

struct KnownOption {
  std::string name;  // "--label" or "-j"
  bool takes_value = false;
};

struct KnownArgument {
  std::string name;  // "SNAPSHOT"
  bool required = false;
  bool many = false;    // takes all words that are left
  std::string example;  // a word to type in its place
};

// Exactly one of these options must be given.
struct KnownChoice {
  std::vector<std::string> options;
  std::string example;  // words to add to the line
};

struct KnownCommand {
  std::string name;
  std::vector<KnownOption> options;
  std::vector<KnownArgument> arguments;
  std::vector<KnownChoice> choices;

  const KnownOption* find(const std::string& option) const;  // null if it has none of that name
};

struct Line {
  const KnownCommand* command = nullptr;
  std::vector<std::string> words;  // what follows the command, options before it included
};

// What the words of a command are.
struct ReadWords {
  std::vector<std::size_t> arguments;  // the places of those that are neither options nor their values
  std::vector<std::size_t> unknown;    // the places of options that the command does not have
  std::vector<std::string> given;      // the names of the others
  std::string without_value;           // the last of these if its value is missing

  bool has(const std::string& option) const;
};

// Finds the command in the line, which is not empty. Options may come before it. Error{kConfiguration} if it
// is unknown or cannot be told.
Line find_command(const std::vector<std::string>& words, const std::vector<KnownCommand>& commands);

ReadWords read_words(const std::vector<std::string>& words, const KnownCommand& command);

// Error{kConfiguration} that names each option that is unknown and each argument that is missing.
void require_known(const Line& line);

}  // namespace litepull
