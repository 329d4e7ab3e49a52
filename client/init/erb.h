// ERB templates without Ruby. Kamal renders its files with ERB before it reads them as YAML, and only Ruby
// can tell what a tag prints. So each output is replaced by a mark that means "not known here". Lines between
// statements (`<% if ... %>` ... `<% end %>`) are recorded, since Ruby may leave them out. Pure; nothing is
// ever run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace litepull {

struct ErbTag {
  std::string code;  // "<%= ENV["HOST"] %>", as it is written, on one line and not too long
  int line = 0;      // of the template, from 1
};

// Lines that may be missing, or there more than once, when Ruby renders the file.
struct ErbBlock {
  std::size_t first = 0, last = 0;  // of ErbText::text, from 0, both included
  ErbTag tag;                       // the statement that decides
};

struct ErbText {
  std::string text;               // with no ERB left in it
  std::vector<int> source_lines;  // of each line of `text`, its line in the template
  std::vector<ErbTag> outputs;    // what the marks in `text` stand for
  std::vector<ErbBlock> blocks;

  // The tag because of which `value`, which begins on line `line` of `text`, is not known; null when it is
  // known.
  const ErbTag* unknown_in(std::string_view value, std::size_t line) const;
  int source_line(std::size_t line) const;
};

// `file` is the name for messages, safe to print. Throws Error{kConfiguration} for a tag without an end and
// for text that uses the marks itself.
ErbText read_erb(std::string_view text, const std::string& file);

// `text` with the tags of `erb` in place of their marks.
std::string with_tags(std::string_view text, const ErbText& erb);

}  // namespace litepull
