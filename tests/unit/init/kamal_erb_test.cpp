// What only Ruby knows of Kamal's configuration, and files that are broken or hostile.
#include "client/init/kamal_config.h"

#include <gtest/gtest.h>

#include "tests/unit/init/kamal_fixture.h"

namespace litepull {
namespace {

// --- what is not known -----------------------------------------------------------------------------------

struct UnknownCase {
  const char* text;
  const char* flag;  // that is asked for
  const char* why;
};

TEST_F(KamalConfig, WhatOnlyRubyKnowsIsNotGuessed) {
  const UnknownCase cases[] = {
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [<%= ENV[\"HOST\"] %>]", "--host",
       "config/deploy.yml:3: only Ruby knows what <%= ENV[\"HOST\"] %> gives"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: <%= ENV.fetch('HOSTS', "
       "'10.0.0.1').split(',') %>",
       "--host", "deploy.yml:3: only Ruby knows what <%= ENV.fetch('HOSTS', '10.0.0.1').split(',') %>"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers:\n  web:\n    - <%= a %>.example.com: tag",
       "--host", "deploy.yml:5: only Ruby knows what <%= a %>.example.com"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers:\n<% if x %>\n  - 10.0.0.1\n<% else %>\n  "
       "- 10.0.0.2\n<% end %>",
       "--host", "deploy.yml:5: only Ruby knows what <% if x %> ... 10.0.0.1"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers:\n<% hosts.each do |host| %>\n  - <%= host "
       "%>\n<% end %>",
       "--host", "deploy.yml:5: only Ruby knows what <%= host %>"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: {web: [10.0.0.1]}\nprimary_role: <%= x %>",
       "--host", "deploy.yml:4: only Ruby knows what <%= x %>"},
      {"service: <%= app %>\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]", "--app", "deploy.yml:1"},
      {"service: billing\nvolumes: ['<%= app %>_storage:/rails/storage']\nservers: [10.0.0.1]", "--storage",
       "deploy.yml:2: only Ruby knows what <%= app %>_storage"},
      {"service: billing\nvolumes: ['<%= a ? \"x:y\" : 1 %>:/rails/storage:ro']\nservers: [10.0.0.1]",
       "--storage", "deploy.yml:2"},
      {"service: billing\nvolumes: <%= vols %>\nservers: [10.0.0.1]", "--storage", "deploy.yml:2"},
      {"service: billing\nvolumes: ['v1:<%= root %>/storage']\nservers: [10.0.0.1]", "--storage",
       "deploy.yml:2"},
      {"service: billing\n<% if x -%>\nvolumes: ['v1:/rails/storage']\n<% end -%>\nservers: [10.0.0.1]",
       "--storage", "deploy.yml:3: only Ruby knows what <% if x -%> ... v1"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]\nssh: {user: <%= ENV['U'] %>}",
       "--user", "deploy.yml:4"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]\nssh: {port: <%= 22 %>}",
       "--port", "deploy.yml:4"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]\nssh: {proxy: <%= x %>}",
       "--proxy", "deploy.yml:4"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]\nssh: {keys: ['<%= x %>']}",
       "--key", "deploy.yml:4"},
  };
  for (const UnknownCase& c : cases) {
    const Error error = refusal_of(c.text);
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << c.text;
    EXPECT_TRUE(contains(error.message(), c.why)) << c.text << "\n" << error.message();
    EXPECT_TRUE(error.hint().starts_with(std::string("give ") + c.flag + " ")) << c.text << "\n"
                                                                               << error.hint();
    EXPECT_EQ(error.hint().substr(0, error.hint().find("; or let Kamal tell")).find("--", 8),
              std::string::npos)
        << "asks for more: " << error.hint();
  }
}

TEST_F(KamalConfig, AnOpenSshSectionLeavesAllOfItOpen) {
  const Error error = refusal_of(with_ssh("ssh: <%= login %>"));
  for (const char* flag : {"--user", "--port", "--key", "--proxy"})
    EXPECT_TRUE(contains(error.hint(), flag)) << error.hint();
  EXPECT_EQ(
      config(with_ssh("ssh: <%= login %>"), {.user = "app", .port = "23", .key = "none", .proxy = "none"})
          .server_user,
      "app");
}

TEST_F(KamalConfig, ErbThatDecidesNothingHereIsPassedOver) {
  const std::string text = std::string("<% require \"dotenv\"; Dotenv.load %>\n<%# a comment %>\n") + kRails +
                           "registry:\n  username: <%= \"ada\" %>\n  password: <%= `pass show x` %>\n"
                           "<% if ENV[\"CI\"] %>\nlogging:\n  driver: <%= 1 %>\n<% end %>\n"
                           "labels:\n  literal: \"<%% not a tag %>\"\n";
  EXPECT_EQ(login(text), "root@203.0.113.10 22");
}

// --- hostile and broken files ----------------------------------------------------------------------------

std::string bomb() {
  std::string text = "x0: &x0 [a, a, a, a, a, a, a, a, a]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "*x" + std::to_string(i - 1);
    text += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 8; ++k) text += ", " + before;
    text += "]\n";
  }
  return text;
}

// Mappings merged level by level, each twice as wide as the one before.
std::string merge_bomb() {
  std::string text = "m0: &m0 {a: {}, b: {}}\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "*m" + std::to_string(i - 1);
    text +=
        "m" + std::to_string(i) + ": &m" + std::to_string(i) + " {a: " + before + ", b: " + before + "}\n";
  }
  return text;
}

TEST_F(KamalConfig, AnAliasBombIsHarmlessOrRefused) {
  EXPECT_EQ(login(bomb() + kRails), "root@203.0.113.10 22");  // shared, not copied
  const Error error = refusal_of(merge_bomb() + kRails, {.destination = "mars"}, merge_bomb());
  EXPECT_TRUE(contains(error.message(), "more than 100000 values")) << error.message();
  std::string wide = "x: &x {";
  for (int i = 0; i < 1000; ++i) wide += "k" + std::to_string(i) + ": 1, ";
  wide += "}\n";
  for (int i = 0; i < 1000; ++i) wide += "y" + std::to_string(i) + ": {<<: *x}\n";
  EXPECT_TRUE(contains(refusal_of(wide).message(), "more than 100000 values"));
}

TEST_F(KamalConfig, DeepNestingIsRefused) {
  for (const std::size_t depth : {65U, 1000U, 100'000U}) {
    EXPECT_TRUE(contains(refusal_of("a: " + std::string(depth, '[') + std::string(depth, ']')).message(),
                         "levels deep"));
    std::string mappings;
    for (std::size_t i = 0; i < depth; ++i) mappings += "{a: ";
    EXPECT_TRUE(contains(refusal_of(mappings).message(), depth > 65'000 ? "larger than" : "levels deep"))
        << depth;
  }
  std::string chain = "x0: &x0 [a]\n";
  for (int i = 1; i < 100; ++i)
    chain += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " [*x" + std::to_string(i - 1) + "]\n";
  EXPECT_TRUE(contains(refusal_of(chain).message(), "levels deep"));
}

TEST_F(KamalConfig, BrokenFilesAreRefusedWithTheLine) {
  const std::map<std::string, std::string> cases{
      {"a: b\nc: [d", "config/deploy.yml:"},
      {"a: b\n\tc: d", "config/deploy.yml:2: "},
      {"a: *nowhere", "config/deploy.yml:1: "},
      {"service: x\na: &a [*a]", "config/deploy.yml:2: an alias inside"},
      {std::string("service: x\na: \0", 15), "config/deploy.yml:2: holds control"},
      {"service: \xff\xfe", "config/deploy.yml:1: holds control"},
      {"service: \x1b[31m", "config/deploy.yml:1: holds control"},
      {std::string(10 << 20, 'a'), "config/deploy.yml: is larger than 256 kB"},
      {"service: x\n<% if y", "config/deploy.yml:2: an ERB tag that does not end: <% if y"},
      {"service: x\n<%= everything %>\nservers: []", "its ERB was not run"},
      {"? [a]\n: b", "config/deploy.yml:1: a key that is a list"},
      {"ssh: {<<: <%= x %>}", "config/deploy.yml:1: <%= x %> decides what is merged"},
      {"service: \"\xEE\x83\xA0"
       "0\xEE\x83\xA1\"",
       "a private use character"},
      {"- a\n- b", "config/deploy.yml:1: the file must be a mapping"},
      {"just text", "config/deploy.yml:1: the file must be a mapping"},
      {"service: [a]", "config/deploy.yml:1: service must be one word"},
      {"service: {a: b}", "config/deploy.yml:1: service must be one word"},
      {"servers: {web: {hosts: {a: b}}}", "servers/web/hosts must be a list"},
      {"servers: {web: [[a]]}", "servers/web must be one word"},
      {"servers: [{a: b, c: d}]", "servers/web must be a host, or one host with its tags"},
      {"ssh: [a]", "ssh must be a mapping"},
      {"ssh: text", "ssh must be a mapping"},
      {"ssh: {user: [a]}", "ssh/user must be one word"},
      {"ssh: {keys: {a: b}}", "ssh/keys must be a list"},
      {"volumes: {a: b}", "volumes must be a list"},
      {"volumes: [[a]]", "volumes must be one word"},
      {"accessories: [a]", "accessories must be a mapping"},
      {"accessories: {a: [b]}", "accessories/a must be a mapping"},
      {"servers: {web: {hosts: [a], options: [b]}}", "servers/web/options must be a mapping"},
  };
  for (const auto& [text, message] : cases) {
    const Error error = refusal_of(text);
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << text.substr(0, 80);
    EXPECT_TRUE(contains(error.message(), message)) << text.substr(0, 80) << "\n" << error.message();
    EXPECT_FALSE(error.hint().empty()) << text.substr(0, 80);
  }
}

TEST_F(KamalConfig, MarksOfErbThatYamlEscapesForgeDoNoHarm) {
  for (const char* forged :
       {"\\uE0E00\\uE0E1", "\\uE0E099999999999999999999\\uE0E1", "\\uE0E0", "\\uE0E0x\\uE0E1"}) {
    const Error error =
        refusal_of(std::string("service: \"") + forged + "\"\nimage: <%= x %>\n" + kServers + kVolumes);
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << forged;
    EXPECT_TRUE(contains(error.hint(), "--app")) << forged << error.message();
  }
}

// Each byte of a good file is removed, doubled or replaced. The result is always a plan or an Error.
TEST_F(KamalConfig, ADamagedFileIsReadOrRefused) {
  const std::string whole =
      with_ssh("ssh: {user: app}\nx: &a <%= 1 %>\ny: {<<: *a, z: [*a]}\n<% if a %>\nq: \"r\"\n<% end %>\n");
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (const std::string& byte : {std::string(), std::string(2, whole[i]), std::string("["),
                                    std::string("\n"), std::string("%"), std::string("&")}) {
      std::string text = whole;
      text.replace(i, 1, byte);
      const Error error = refusal_of(text);
      EXPECT_TRUE(error.kind() == ErrorKind::kConfiguration || error.message() == "it was accepted") << text;
    }
}

}  // namespace
}  // namespace litepull
