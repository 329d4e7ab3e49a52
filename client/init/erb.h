// ERB templates without Ruby: Kamal renders its files with ERB before they are read as YAML, and what Ruby
// would print can be known only to Ruby. So each output is replaced by a mark that says "not known here", and
// what stands between statements (`<% if ... %>` ... `<% end %>`) is remembered as perhaps not being there.
// Pure: text in, text out; nothing of it is ever run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace litepull {

struct ErbTag {
  std::string code;  // "<%= ENV["HOST"] %>", as it is written, on one line and not too long
  int line = 0;      // of the template, from 1
};

// Rendered lines that may or may not be there when Ruby renders the file, or more than once.
struct ErbBlock {
  std::size_t first = 0, last = 0;  // of ErbText::text, from 0, both included
  ErbTag tag;                       // the statement that decides it
};

struct ErbText {
  std::string text;               // with no ERB left in it
  std::vector<int> source_lines;  // of each line of `text`, its line in the template
  std::vector<ErbTag> outputs;    // what the marks in `text` stand for
  std::vector<ErbBlock> blocks;

  // The tag that keeps `value`, which begins on line `line` of `text`, from being known; null when none does.
  const ErbTag* unknown_in(std::string_view value, std::size_t line) const;
  int source_line(std::size_t line) const;
};

// `file` is the name for messages, safe to print. Throws Error{kConfiguration} for a tag without an end and
// for text that uses the marks itself.
ErbText read_erb(std::string_view text, const std::string& file);

// `text` with the marks of `erb` as the tags they stand for.
std::string with_tags(std::string_view text, const ErbText& erb);

}  // namespace litepull
