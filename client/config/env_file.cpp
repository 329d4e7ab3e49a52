#include "client/config/env_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/error.h"
#include "common/posix.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxFileBytes = 64 * 1024;
constexpr std::size_t kMaxValueBytes = 16 * 1024;  // `A=$A$A`, line after line, would double without end
constexpr int kMaxLines = 2000;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr const char* kSingleQuote = "put the value in single quotes if it is meant as text: NAME='value'";

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}
bool is_name_byte(char c) {
  return is_name_start(c) || is_digit(c);
}
bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}
bool is_one_of(char c, std::string_view set) {
  return set.find(c) != std::string_view::npos;
}

[[noreturn]] void refuse_file(const std::string& path, const std::string& what, const std::string& hint) {
  throw Error(ErrorKind::kConfiguration, printable(path) + ": " + what, hint);
}

// Never blocks: a FIFO opens at once and is then refused by its type.
Fd open_env_file(const std::string& path) {
  Fd fd(retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); }));
  if (fd) return fd;
  const int code = errno;
  std::string hint = "check the owner and mode of that path";
  if (code == ENOENT || code == ENOTDIR)
    hint = "check the path; config/projects/example.env.sample shows a file";
  if (is_out_of_descriptors(code)) hint = kRaiseOpenFiles;
  refuse_file(path, std::string("cannot open the configuration: ") + std::strerror(code), hint);
}

void require_trusted(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw_errno("examine " + printable(path));
  if (S_ISDIR(info.st_mode)) refuse_file(path, "is a directory", "name the .env file inside it");
  if (!S_ISREG(info.st_mode)) refuse_file(path, "is not a regular file", "name a plain .env file");
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    refuse_file(path, "belongs to another user (uid " + std::to_string(info.st_uid) + ")",
                "chown it to the user who runs this, or run this as its owner");
  // It may name commands to run.
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    refuse_file(path, "can be written by other users", "chmod go-w " + shell_path(path));
}

class Parser {
 public:
  Parser(const std::string& file, const Environment& environment) : file_(file), environment_(environment) {}

  EnvFile parse(std::string_view text);

 private:
  void parse_line(std::string_view line);
  void require_text(std::string_view line) const;
  void skip_blanks();
  void skip_export();
  std::string_view take_name();
  std::string_view take_assigned_name();
  void take_value();
  void take_part();
  void take_tilde();
  void take_single_quoted();
  void take_double_quoted();
  void take_escaped();
  void take_escaped_in_quotes();
  void take_dollar(bool quoted);
  void take_braced();
  void take_end_of_line();
  void expand(std::string_view name);
  const std::string* find(std::string_view name);
  void append(std::string_view text);
  void store(std::string_view name);
  std::string at(int line) const { return file_ + ":" + std::to_string(line) + ": "; }
  [[noreturn]] void refuse(const std::string& what, const std::string& hint) const;
  [[noreturn]] void refuse_command(const std::string& what) const;

  const std::string& file_;
  const Environment& environment_;
  EnvFile result_;
  int line_ = 0;
  std::string_view rest_;   // of the line
  EnvAssignment building_;  // what the line assigns, so far
};

EnvFile Parser::parse(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  while (!text.empty()) {
    if (++line_ > kMaxLines)
      refuse("more than " + std::to_string(kMaxLines) + " lines", "check that this is the .env file");
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    parse_line(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return std::move(result_);
}

void Parser::parse_line(std::string_view line) {
  require_text(line);
  rest_ = line;
  skip_blanks();
  if (rest_.empty() || rest_[0] == '#') return;
  skip_export();
  const std::string_view name = take_assigned_name();
  take_value();
  take_end_of_line();
  store(name);
}

void Parser::require_text(std::string_view line) const {
  const auto bad = std::find_if(line.begin(), line.end(), [](char c) { return is_control(c) && c != '\t'; });
  if (bad != line.end())
    refuse("a control byte, " + printable({&*bad, 1}), "save the file as plain UTF-8 text");
}

void Parser::skip_blanks() {
  while (!rest_.empty() && is_blank(rest_[0])) rest_.remove_prefix(1);
}

void Parser::skip_export() {
  constexpr std::string_view kExport = "export";
  if (!rest_.starts_with(kExport) || rest_.size() == kExport.size() || !is_blank(rest_[kExport.size()]))
    return;
  rest_.remove_prefix(kExport.size());
  skip_blanks();
}

std::string_view Parser::take_name() {
  std::size_t length = 0;
  if (!rest_.empty() && is_name_start(rest_[0]))
    while (length < rest_.size() && is_name_byte(rest_[length])) ++length;
  const std::string_view name = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return name;
}

std::string_view Parser::take_assigned_name() {
  const std::string_view name = take_name();
  const std::string_view after = rest_;
  skip_blanks();
  if (!name.empty() && after.size() != rest_.size() && rest_.starts_with('='))
    refuse("a space before '='", "write " + std::string(name) + "=value without spaces around '='");
  if (name.empty() || !after.starts_with('='))
    refuse("not an assignment", "write NAME=value, or put '#' in front of a comment; commands are never run");
  rest_.remove_prefix(1);
  return name;
}

void Parser::take_value() {
  building_ = {};
  if (rest_.starts_with('~')) take_tilde();
  while (!rest_.empty() && !is_blank(rest_[0])) take_part();
}

void Parser::take_part() {
  const char c = rest_[0];
  if (c == '\'') return take_single_quoted();
  if (c == '"') return take_double_quoted();
  if (c == '\\') return take_escaped();
  if (c == '$') return take_dollar(false);
  if (c == '`') refuse_command("a backtick");
  if (is_one_of(c, ";&|<>()")) refuse_command(std::string("'") + c + "' outside quotes");
  if (rest_.starts_with(":~")) refuse("a '~' after ':' outside quotes", kSingleQuote);  // bash expands it
  append(rest_.substr(0, 1));
  rest_.remove_prefix(1);
}

void Parser::take_tilde() {
  rest_.remove_prefix(1);
  if (!rest_.empty() && rest_[0] != '/' && !is_blank(rest_[0]))
    refuse("'~' followed by something other than '/'", "write the directory out, or ~/ for your own");
  expand("HOME");
  building_.tilde_expanded = true;
}

void Parser::take_single_quoted() {
  const std::size_t close = rest_.find('\'', 1);
  if (close == std::string_view::npos)
    refuse("a single quote that is not closed on this line", "close it; a value cannot span lines");
  append(rest_.substr(1, close - 1));
  rest_.remove_prefix(close + 1);
}

void Parser::take_double_quoted() {
  rest_.remove_prefix(1);
  while (!rest_.empty() && rest_[0] != '"') {
    if (rest_[0] == '`') refuse_command("a backtick");
    if (rest_[0] == '\\') {
      take_escaped_in_quotes();
    } else if (rest_[0] == '$') {
      take_dollar(true);
    } else {
      append(rest_.substr(0, 1));
      rest_.remove_prefix(1);
    }
  }
  if (rest_.empty())
    refuse("a double quote that is not closed on this line", "close it; a value cannot span lines");
  rest_.remove_prefix(1);
}

void Parser::take_escaped() {
  if (rest_.size() == 1) refuse("a backslash at the end of the line", "put the whole value on one line");
  append(rest_.substr(1, 1));
  rest_.remove_prefix(2);
}

void Parser::take_escaped_in_quotes() {
  const bool escape = rest_.size() > 1 && is_one_of(rest_[1], "\"\\$`");
  append(rest_.substr(escape ? 1 : 0, 1));
  rest_.remove_prefix(escape ? 2 : 1);
}

// A '$' that begins no variable stands for itself, as in the shell. What only a shell could expand is
// refused.
void Parser::take_dollar(bool quoted) {
  rest_.remove_prefix(1);
  const char next = rest_.empty() ? ' ' : rest_[0];
  if (next == '(' || next == '[') refuse_command(std::string("'$") + next + "'");
  if (next == '{') return take_braced();
  if (is_name_start(next)) return expand(take_name());
  if (is_digit(next) || is_one_of(next, "?$@!-*#") || (!quoted && is_one_of(next, "'\"")))
    refuse(std::string("'$") + next + "' has no meaning here", kSingleQuote);
  append("$");
}

void Parser::take_braced() {
  rest_.remove_prefix(1);
  const std::string_view name = take_name();
  if (name.empty() || !rest_.starts_with('}'))
    refuse("'${' with more than a name", std::string("only ${NAME} is expanded; ") + kSingleQuote);
  rest_.remove_prefix(1);
  expand(name);
}

void Parser::take_end_of_line() {
  skip_blanks();
  if (rest_.empty() || rest_[0] == '#') return;
  refuse("more words after the value",
         "quote a value that holds spaces: NAME='one two'; one NAME=value a line");
}

void Parser::expand(std::string_view name) {
  const std::string* value = find(name);
  if (value == nullptr)
    refuse("$" + std::string(name) + " is not set",
           "set it on an earlier line or in the environment; for a plain '$' use single quotes");
  append(*value);
}

const std::string* Parser::find(std::string_view name) {
  for (EnvAssignment& earlier : result_.assignments)
    if (earlier.name == name) {
      earlier.referenced = true;
      return &earlier.value;
    }
  const auto found = environment_.find(std::string(name));
  return found == environment_.end() ? nullptr : &found->second;
}

void Parser::append(std::string_view text) {
  if (text.size() > kMaxValueBytes - building_.value.size())
    refuse("a value of more than " + std::to_string(kMaxValueBytes) + " bytes", "shorten it");
  building_.value += text;
}

void Parser::store(std::string_view name) {
  building_.name = name;
  building_.line = line_;
  auto& all = result_.assignments;
  const auto earlier = std::find_if(all.begin(), all.end(), [&](const auto& a) { return a.name == name; });
  if (earlier == all.end()) return all.push_back(std::move(building_));
  result_.warnings.push_back(at(line_) + building_.name + " was set on line " +
                             std::to_string(earlier->line) + " already; this line counts");
  building_.referenced = earlier->referenced;
  *earlier = std::move(building_);
}

void Parser::refuse(const std::string& what, const std::string& hint) const {
  throw Error(ErrorKind::kConfiguration, at(line_) + what, hint);
}

void Parser::refuse_command(const std::string& what) const {
  refuse(what + " would be a command in a shell; nothing here is executed", kSingleQuote);
}

}  // namespace

std::string read_env_text(const std::string& path) {
  const Fd fd = open_env_file(path);
  require_trusted(fd.get(), path);
  std::string text(kMaxFileBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const std::size_t got = read_some(fd.get(), text.data() + size, text.size() - size, printable(path));
    if (got == 0) break;
    size += got;
  }
  if (size > kMaxFileBytes)
    refuse_file(path, "is larger than " + std::to_string(kMaxFileBytes) + " bytes",
                "check that this is the .env file");
  text.resize(size);
  return text;
}

EnvFile parse_env(std::string_view text, const std::string& file, const Environment& environment) {
  return Parser(file, environment).parse(text);
}

}  // namespace litepull
