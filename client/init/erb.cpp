#include "client/init/erb.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "client/init/words.h"
#include "common/error.h"

namespace litepull {
namespace {

// Private use characters, U+E0E0 and U+E0E1: YAML takes them for letters.
constexpr std::string_view kMarkStart = "\xEE\x83\xA0";
constexpr std::string_view kMarkEnd = "\xEE\x83\xA1";
constexpr std::size_t kMaxShownBytes = 120;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string on_one_line(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (!is_space(c) || (!out.empty() && out.back() != ' ')) out += is_space(c) ? ' ' : c;
  if (out.size() <= kMaxShownBytes) return out;
  out.resize(kMaxShownBytes);
  out += "...";
  return out;
}

bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool starts_with_word(std::string_view code, std::string_view word) {
  return code.starts_with(word) && (code.size() == word.size() || !is_word_byte(code[word.size()]));
}

bool ends_with_word(std::string_view code, std::string_view word) {
  return code.ends_with(word) &&
         (code.size() == word.size() || !is_word_byte(code[code.size() - word.size() - 1]));
}

// `do`, `do |x|`, `{` or `{ |x|` at the end.
bool ends_with_block_start(std::string_view code) {
  if (code.ends_with('|')) {
    const std::size_t bar = code.rfind('|', code.size() - 2);
    code = trimmed(code.substr(0, bar == std::string_view::npos ? 0 : bar));
  }
  return ends_with_word(code, "do") || code.ends_with('{');
}

bool opens(std::string_view code) {
  for (const std::string_view word : {"if", "unless", "case", "while", "until", "for", "begin"})
    if (starts_with_word(code, word)) return !ends_with_word(code, "end");
  return ends_with_block_start(code);
}

bool closes(std::string_view code) {
  return (starts_with_word(code, "end") || code.starts_with('}')) && !ends_with_block_start(code);
}

class Renderer {
 public:
  Renderer(std::string_view text, const std::string& file) : rest_(text), file_(file) {}

  ErbText render() &&;

 private:
  void take_text(std::size_t size);
  void take_tag();
  void take_output(ErbTag tag);
  void take_statement(std::string_view code, ErbTag tag);
  void append(std::string_view text);
  std::size_t rendered_line() const { return result_.source_lines.size() - 1; }
  void close_block();
  [[noreturn]] void refuse(const std::string& what, const std::string& hint) const;

  std::string_view rest_;
  const std::string& file_;
  int line_ = 1;  // of the template
  ErbText result_;
  std::vector<ErbBlock> open_;
};

ErbText Renderer::render() && {
  if (rest_.find(kMarkStart) != std::string_view::npos || rest_.find(kMarkEnd) != std::string_view::npos)
    refuse("a private use character (U+E0E0 or U+E0E1)", "remove it from the file");
  result_.source_lines.push_back(line_);
  while (!rest_.empty()) {
    take_text(std::min(rest_.find("<%"), rest_.size()));
    if (!rest_.empty()) take_tag();
  }
  while (!open_.empty()) close_block();  // no `end` was found, so the block reaches up to here
  return std::move(result_);
}

void Renderer::take_text(std::size_t size) {
  append(rest_.substr(0, size));
  rest_.remove_prefix(size);
}

void Renderer::append(std::string_view text) {
  for (const char c : text) {
    result_.text += c;
    if (c != '\n') continue;
    ++line_;
    result_.source_lines.push_back(line_);
  }
}

// `rest_` begins with "<%".
void Renderer::take_tag() {
  if (rest_.starts_with("<%%")) {  // stands for "<%" itself
    append("<%");
    rest_.remove_prefix(3);
    return;
  }
  std::size_t end = rest_.find("%>", 2);
  while (end != std::string_view::npos && rest_[end - 1] == '%') end = rest_.find("%>", end + 2);
  if (end == std::string_view::npos)
    refuse("an ERB tag that does not end: " + printable(on_one_line(rest_)), "close it with %>");
  const std::string_view whole = rest_.substr(0, end + 2);
  const ErbTag tag{printable(on_one_line(whole)), line_};
  std::string_view code = whole.substr(2, whole.size() - 4);
  if (code.starts_with('=')) {
    take_output(tag);
  } else if (!code.starts_with('#')) {
    if (code.starts_with('-')) code.remove_prefix(1);
    if (code.ends_with('-')) code.remove_suffix(1);
    take_statement(trimmed(code), tag);
  }
  line_ += static_cast<int>(std::count(whole.begin(), whole.end(), '\n'));
  rest_.remove_prefix(whole.size());
}

void Renderer::take_output(ErbTag tag) {
  result_.text += kMarkStart;
  result_.text += std::to_string(result_.outputs.size());
  result_.text += kMarkEnd;
  result_.outputs.push_back(std::move(tag));
}

// `else` and its like neither open nor close a block; both sides belong to it.
void Renderer::take_statement(std::string_view code, ErbTag tag) {
  if (opens(code))
    open_.push_back({rendered_line(), 0, std::move(tag)});
  else if (closes(code) && !open_.empty())
    close_block();
}

void Renderer::close_block() {
  open_.back().last = rendered_line();
  result_.blocks.push_back(std::move(open_.back()));
  open_.pop_back();
}

void Renderer::refuse(const std::string& what, const std::string& hint) const {
  throw Error(ErrorKind::kConfiguration, file_ + ":" + std::to_string(line_) + ": " + what, hint);
}

struct Mark {
  std::size_t at = 0, end = 0;
  const ErbTag* tag = nullptr;
};

// The first mark in `text`. A YAML escape can produce the same characters; those are ordinary text.
std::optional<Mark> find_mark(std::string_view text, const std::vector<ErbTag>& outputs) {
  for (std::size_t at = text.find(kMarkStart); at != std::string_view::npos;
       at = text.find(kMarkStart, at + kMarkStart.size())) {
    const char* const digits = text.data() + at + kMarkStart.size();
    std::size_t number = 0;
    const auto [end, code] = std::from_chars(digits, text.data() + text.size(), number);
    const std::size_t after = static_cast<std::size_t>(end - text.data());
    if (code == std::errc() && number < outputs.size() && text.substr(after).starts_with(kMarkEnd))
      return Mark{at, after + kMarkEnd.size(), &outputs[number]};
  }
  return std::nullopt;
}

}  // namespace

const ErbTag* ErbText::unknown_in(std::string_view value, std::size_t line) const {
  if (const auto mark = find_mark(value, outputs)) return mark->tag;
  for (const ErbBlock& block : blocks)
    if (line >= block.first && line <= block.last) return &block.tag;
  return nullptr;
}

int ErbText::source_line(std::size_t line) const {
  return source_lines[std::min(line, source_lines.size() - 1)];
}

std::string with_tags(std::string_view text, const ErbText& erb) {
  std::string out;
  while (const auto mark = find_mark(text, erb.outputs)) {
    out += text.substr(0, mark->at);
    out += mark->tag->code;
    text.remove_prefix(mark->end);
  }
  return out += text;
}

ErbText read_erb(std::string_view text, const std::string& file) {
  return Renderer(text, file).render();
}

}  // namespace litepull
