// What commands print: JSON, which files that people look at hold too, and tables.
#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "client/base/terminal.h"
#include "common/error.h"

namespace litepull {

// The value with an indent of two, or in one line with -1. A character that may not be shown on a terminal
// (shown_character of common/error.h) is written as \uXXXX, so that the value stays exact. Bytes that are not
// UTF-8 are replaced.
std::string json_text(const nlohmann::json& value, int indent = 2);
std::string json_text(const nlohmann::ordered_json& value, int indent = 2);

// What `--json` shows of a configuration that failed. `app` is its name, or the file's.
nlohmann::ordered_json error_json(const std::string& app, int exit_code, const Error& error);

// Prints the one document of `--json`: the entry itself when there is one, else the list.
void print_json(const nlohmann::ordered_json& entries);

// A table for people. A column without text in any row is not shown. Where the terminal is too narrow, the
// columns that may go are left out, those of the highest rank first, and then the one that may be cut is cut.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
    int rank = 0;             // 0: it stays
    bool may_be_cut = false;  // one column at the most
  };
  struct Cell {
    std::string text;  // safe to print
    Tone tone = Tone::kPlain;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns.
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  // For `out`, with `indent` spaces before each line.
  std::string text(std::FILE* out, std::size_t indent = 0) const;

 private:
  std::vector<std::size_t> widths() const;
  std::string line(const std::vector<Cell>& row, const std::vector<std::size_t>& widths,
                   std::FILE* out) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace litepull
