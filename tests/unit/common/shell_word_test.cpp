// What is printed to be pasted, read by every shell that is here; and what reaches a terminal.
#include "common/shell_word.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/base/output.h"
#include "common/error.h"
#include "common/short_name.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

const std::vector<std::string> kWords{
    "production.sqlite3", "2026-05-23T020000+0200", "config/projects/a.env", "", " ", "my shop.sqlite3",
    "tenant;touch PWNED;.sqlite3", "o'reilly'$(touch PWNED)'.sqlite3", "`touch PWNED`", "$HOME", "~root", "~",
    "a\\b", "\\", "'\\''", "\\'", "a\"b", "\"$(touch PWNED)\"", "!!", "a!b", "*", "?", "[a]", "{a,b}", "=ls",
    "a=b", "%self", "#no", "-n", "--yes", "^a^b", "a|b", "a&b", "a<b>c", "(a)", "caf\xC3\xA9",
    "\xE2\x9D\xA4\xEF\xB8\x8F",
    // What may not be shown: controls, C1, bidirectional controls, zero width, tags, and bytes that are no
    // UTF-8.
    "a\x1B]0;title\x07"
    "b",
    "line\nbreak", "tab\t", "\x7F",
    "a\xC2\x9B"
    "31mb",
    "\xE2\x80\xAE"
    "fdp.exe",
    "\xE2\x81\xA6x", "zero\xE2\x80\x8Bwidth", "\xE2\x80\xA8",
    "\xEF\xBB\xBF"
    "bom",
    "\xF3\xA0\x81\xA1tag", "\xFF\xFE!'$(touch PWNED)1"};

bool is_here(const std::string& shell) {
  return test::run({"sh", "-c", "command -v " + shell}).ok();
}

TEST(ShellWord, IsReadAsJustTheseBytesByEveryShell) {
  for (const std::string shell : {"sh", "dash", "bash", "zsh", "fish"}) {
    if (!is_here(shell)) continue;
    const test::TempDir dir;
    for (const std::string& word : kWords) {
      const std::string script = "cd " + dir.path().string() + "; printf '[%s]' " + shell_word(word);
      const test::ProcessResult said = test::run({shell, "-c", script});
      EXPECT_EQ(said.out, "[" + word + "]") << shell << ": " << shell_word(word) << "\n" << said.err;
    }
    EXPECT_TRUE(std::filesystem::is_empty(dir.path())) << shell;
  }
}

TEST(ShellWord, ThatNeedsNoQuotesHasNone) {
  for (const char* word : {"production.sqlite3", "2026-05-23T020000+0200", "config/projects/a.env", "a=b"})
    EXPECT_EQ(shell_word(word), word);
  EXPECT_EQ(shell_word("my shop"), "'my shop'");
  EXPECT_EQ(shell_path("-rf"), "./-rf");
}

// Whether a terminal would be steered by it.
bool is_safe(const std::string& text) {
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = shown_character(rest);
    if (length == 0) return false;
    rest.remove_prefix(length);
  }
  return true;
}

TEST(ShownText, HoldsNothingThatSteersATerminal) {
  for (const std::string& word : kWords) {
    EXPECT_TRUE(is_safe(shell_word(word)));
    EXPECT_TRUE(is_safe(printable(word)));
    EXPECT_TRUE(is_safe(safe_text(word)));
    EXPECT_EQ(safe_text(safe_text(word)), safe_text(word));
    EXPECT_TRUE(is_safe(json_text(nlohmann::json(word), -1)));
  }
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "fdp"),
            "\\xE2\\x80\\xAE"
            "fdp");
  EXPECT_EQ(printable("caf\xC3\xA9 \xE2\x9D\xA4\xEF\xB8\x8F \xE6\x97\xA5"),
            "caf\xC3\xA9 \xE2\x9D\xA4\xEF\xB8\x8F \xE6\x97\xA5");
  EXPECT_EQ(safe_lines("a\n\tb\x1B"), "a\n\tb\\x1B");
}

TEST(ShownText, InJsonIsTheExactValueAllTheSame) {
  for (const std::string& word : kWords) {
    if (word.find('\xFF') != std::string::npos) continue;  // is replaced
    const std::string text = json_text(nlohmann::ordered_json{{"name", word}});
    EXPECT_EQ(nlohmann::json::parse(text).at("name").get<std::string>(), word) << text;
  }
  EXPECT_EQ(json_text(nlohmann::json("\xC3\xA9\xE2\x80\xAE\xF3\xA0\x81\xA1"), -1),
            "\"\xC3\xA9\\u202e\\udb40\\udc61\"");
}

TEST(ShortName, ThatIsCutIsNeverAnotherOne) {
  const std::string x(700, 'x');
  EXPECT_EQ(short_name("users", 100), "users");
  EXPECT_EQ(short_name(x, 700), x);
  EXPECT_EQ(short_name(x, 600).size(), 600U);
  EXPECT_NE(short_name(x, 600), short_name(x + "y", 600));
  EXPECT_NE(short_name(x + "z", 600), short_name(x + "y", 600));
  for (std::size_t bytes = 100; bytes < 110; ++bytes) {
    std::string umlauts;
    while (umlauts.size() < 300) umlauts += "\xC3\xBC";
    EXPECT_TRUE(is_clean_utf8(short_name(umlauts, bytes)));
    EXPECT_TRUE(is_clean_utf8(short_text(umlauts, bytes)));
    EXPECT_LE(short_name(umlauts, bytes).size(), bytes);
  }
}

}  // namespace
}  // namespace litepull
