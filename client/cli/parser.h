// Commands and their options as they are declared, parsed, and shown by --help. CLI11 stays behind
// parser.cpp, because each file that includes it takes many seconds to compile.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace litepull {

// One option, flag or positional argument. A handle: valid as long as the Parser.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required();
  Option type_name(const std::string& name);  // what --help calls its value
  Option range(int least, int most);
  // `complaint` returns why a value is refused, or an empty string.
  Option check(std::function<std::string(const std::string&)> complaint);
  Option needs(Option other);
  Option excludes(Option other);
  Option one_value_each();  // of one that may be given several times

 private:
  CLI::Option* option_;
};

// The options of one command, or of a group in it. A handle: valid as long as the Parser. Values are taken by
// reference, must outlive the parsing, and keep what they hold if the option is not given. `names` are as in
// "-q,--quiet", or "CONFIG" for a positional argument.
class Options {
 public:
  explicit Options(CLI::App* app) : app_(app) {}

  Option add(const std::string& names, std::string& value, const std::string& about);
  Option add(const std::string& names, int& value, const std::string& about);
  Option add(const std::string& names, std::size_t& value, const std::string& about);
  Option add(const std::string& names, std::vector<std::string>& values, const std::string& about);
  Option add(const std::string& names, const std::function<void(const std::string&)>& set,
             const std::string& about);
  Option flag(const std::string& names, bool& value, const std::string& about);  // "!--no-hook" clears it
  Option flag(const std::string& names, const std::function<void()>& set, const std::string& about);

  // A group of options, of which exactly one must be given.
  Options one_of(const std::string& title);
  void footer(const std::string& text);

 private:
  CLI::App* app_;
};

class Parser {
 public:
  struct Result {
    std::function<int()> run;  // the command that was named; empty if none is to be run
    std::string problem;       // why not, if the line is wrong; it was printed to stderr
  };

  // `program` is its name; `version` is what --version prints.
  Parser(const std::string& program, const std::string& about, const std::string& version);
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  Options command(const std::string& name, const std::string& about, std::function<int()> run);
  void footer(const std::string& text);

  // Exactly one command must be named. Prints --help and --version itself, and then returns neither a command
  // nor a problem.
  Result parse(int argc, const char* const* argv);

 private:
  std::unique_ptr<CLI::App> app_;
  std::function<int()> chosen_;
};

}  // namespace litepull
