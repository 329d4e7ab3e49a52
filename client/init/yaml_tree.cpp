#include "client/init/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kRenderHint =
    "let Ruby render the file, and take that: ruby -rerb -e 'puts ERB.new(STDIN.read, trim_mode: "
    "\"-\").result' "
    "<config/deploy.yml >/tmp/deploy.yml && litepull init --from /tmp/deploy.yml";

[[noreturn]] void refuse_yaml(const std::string& where, const std::string& what, const std::string& hint) {
  throw Error(ErrorKind::kConfiguration, where + ": " + what, hint);
}

// How many more values a file may have.
class Budget {
 public:
  void take(std::size_t count, const std::string& where) {
    if (count > left_)
      refuse_yaml(where,
                  "more than " + std::to_string(kMaxYamlValues) + " values, aliases and merge keys counted",
                  "check that this is Kamal's configuration");
    left_ -= count;
  }

 private:
  std::size_t left_ = kMaxYamlValues;
};

void require_shallow(const YamlValue& value) {
  if (value.height > kMaxYamlNesting)
    refuse_yaml(value.where, "more than " + std::to_string(kMaxYamlNesting) + " levels deep",
                "check that this is Kamal's configuration");
}

// Of repeated names the last value counts, in the place of the first.
void put(YamlValue& mapping, const Yaml& key, const Yaml& value) {
  for (auto& [known, old] : mapping.entries)
    if (known->text == key->text) {
      old = value;
      return;
    }
  mapping.entries.emplace_back(key, value);
}

// Builds values from the parser's events. Unfinished ones are on a stack.
class Builder : public YAML::EventHandler {
 public:
  Builder(const ErbText& erb, const std::string& file) : erb_(erb), file_(file) {}

  Yaml result() && { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    std::shared_ptr<YamlValue> value;
    YAML::anchor_t anchor;
    Yaml key;  // of a mapping, while its value is still missing
  };

  std::shared_ptr<YamlValue> make(const YAML::Mark& mark, YamlKind kind, std::string_view text) const;
  void open(const YAML::Mark& mark, YamlKind kind, YAML::anchor_t anchor);
  void close();
  void finish(const Yaml& value, YAML::anchor_t anchor);
  void add(const Yaml& value);
  void add_entry(YamlValue& mapping, const Yaml& key, const Yaml& value);
  void merge(YamlValue& mapping, const Yaml& from);

  const ErbText& erb_;
  const std::string& file_;
  Budget budget_;
  Yaml root_ = std::make_shared<YamlValue>();
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Yaml> anchors_;
};

std::shared_ptr<YamlValue> Builder::make(const YAML::Mark& mark, YamlKind kind, std::string_view text) const {
  const std::size_t line = static_cast<std::size_t>(std::max(mark.line, 0));
  auto value = std::make_shared<YamlValue>();
  value->kind = kind;
  value->text = with_tags(text, erb_);
  value->where = file_ + ":" + std::to_string(erb_.source_line(line));
  if (const ErbTag* tag = erb_.unknown_in(text, line)) value->erb = tag->code;
  return value;
}

void Builder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  finish(make(mark, YamlKind::kNull, ""), anchor);
}

void Builder::OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       const std::string& text) {
  finish(make(mark, YamlKind::kScalar, text), anchor);
}

void Builder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const auto found = anchors_.find(anchor);
  if (found == anchors_.end())
    refuse_yaml(make(mark, YamlKind::kNull, "")->where, "an alias inside the value that it names",
                "write the value out");
  add(found->second);
}

void Builder::OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                              YAML::EmitterStyle::value) {
  open(mark, YamlKind::kSequence, anchor);
}

void Builder::OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) {
  open(mark, YamlKind::kMapping, anchor);
}

void Builder::open(const YAML::Mark& mark, YamlKind kind, YAML::anchor_t anchor) {
  open_.push_back({make(mark, kind, ""), anchor, nullptr});
  open_.back().value->height = open_.size();  // refused here, before the parser is thousands of levels deep
  require_shallow(*open_.back().value);
  open_.back().value->height = 0;
}

void Builder::close() {
  Open done = std::move(open_.back());
  open_.pop_back();
  finish(done.value, done.anchor);
}

void Builder::finish(const Yaml& value, YAML::anchor_t anchor) {
  if (anchor != YAML::NullAnchor) anchors_[anchor] = value;
  add(value);
}

void Builder::add(const Yaml& value) {
  budget_.take(1, value->where);
  if (open_.empty()) {
    root_ = value;
    return;
  }
  Open& parent = open_.back();
  parent.value->height = std::max(parent.value->height, value->height + 1);
  require_shallow(*parent.value);
  if (parent.value->is(YamlKind::kSequence)) {
    parent.value->items.push_back(value);
  } else if (parent.key == nullptr) {
    parent.key = value;
  } else {
    add_entry(*parent.value, std::exchange(parent.key, nullptr), value);
  }
}

void Builder::add_entry(YamlValue& mapping, const Yaml& key, const Yaml& value) {
  if (key->is(YamlKind::kSequence) || key->is(YamlKind::kMapping))
    refuse_yaml(key->where, "a key that is a list or a mapping", "write a name in front of the ':'");
  if (key->text == "<<" && !value->erb.empty() && value->is(YamlKind::kScalar))
    refuse_yaml(value->where, printable(value->text) + " decides what is merged here", kRenderHint);
  if (key->text == "<<" && (value->is(YamlKind::kMapping) || value->is(YamlKind::kSequence)))
    return merge(mapping, value);
  budget_.take(mapping.entries.size() / 16, key->where);  // what looking for a key of that name costs
  put(mapping, key, value);
}

// In Ruby's YAML `<<` replaces what stands before it and is replaced by what comes after it (Psych's
// visitors/to_ruby.rb, revive_hash). In a list of mappings, the first one wins.
void Builder::merge(YamlValue& mapping, const Yaml& from) {
  if (from->is(YamlKind::kMapping))
    for (const auto& [key, value] : from->entries) {
      budget_.take(1 + mapping.entries.size() / 16, key->where);
      put(mapping, key, value);
    }
  budget_.take(from->items.size() / 16, from->where);
  for (auto item = from->items.rbegin(); item != from->items.rend(); ++item)
    if ((*item)->is(YamlKind::kMapping)) merge(mapping, *item);
}

void require_text(std::string_view text, const std::string& file) {
  if (text.size() > kMaxYamlBytes)
    refuse_yaml(file, "is larger than " + std::to_string(kMaxYamlBytes / 1024) + " kB",
                "check that this is Kamal's configuration");
  int line = 1;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string plain(text.substr(0, end));
    std::erase_if(plain, [](char c) { return c == '\t' || c == '\r'; });
    if (!is_clean_utf8(plain))
      refuse_yaml(file + ":" + std::to_string(line), "holds control characters or is not UTF-8",
                  "save the file as plain UTF-8 text");
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
  }
}

[[noreturn]] void refuse_yaml(const YAML::Exception& error, const ErbText& erb, const std::string& file) {
  const std::size_t line = static_cast<std::size_t>(std::max(error.mark.line, 0));
  std::string what = "cannot be read as YAML: " + printable(error.msg);
  const bool by_erb = !erb.outputs.empty() || !erb.blocks.empty();
  if (by_erb) what += " (its ERB was not run)";
  refuse_yaml(file + ":" + std::to_string(erb.source_line(line)), what,
              by_erb ? kRenderHint : "mend the file; kamal config says whether Kamal can read it");
}

Yaml parse(const ErbText& erb, const std::string& file) {
  Builder builder(erb, file);
  try {
    std::istringstream in(erb.text);
    YAML::Parser(in).HandleNextDocument(builder);
  } catch (const YAML::Exception& error) {
    refuse_yaml(error, erb, file);
  }
  return std::move(builder).result();
}

Yaml merged(const Yaml& base, const Yaml& over, Budget& budget) {
  if (!base->is(YamlKind::kMapping) || !over->is(YamlKind::kMapping)) return over;
  budget.take(1 + base->entries.size(), base->where);
  auto result = std::make_shared<YamlValue>(*base);
  for (const auto& [key, value] : over->entries) {
    budget.take(1 + result->entries.size() / 16, key->where);
    const Yaml old = base->find(key->text);
    const Yaml both = old == nullptr ? value : merged(old, value, budget);
    result->height = std::max(result->height, both->height + 1);
    put(*result, key, both);
  }
  return result;
}

}  // namespace

Yaml YamlValue::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name->text == key && name->is(YamlKind::kScalar)) return value;
  return nullptr;
}

Yaml read_yaml(std::string_view text, const std::string& file) {
  require_text(text, file);
  const ErbText erb = read_erb(text, file);
  return parse(erb, file);
}

Yaml deep_merge(const Yaml& base, const Yaml& over) {
  Budget budget;
  return merged(base, over, budget);
}

}  // namespace litepull
