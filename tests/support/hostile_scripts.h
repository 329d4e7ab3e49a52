// The scripts of the lying agent, by their names: each is an honest stream with one thing wrong.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "tests/support/hostile_peer.h"

namespace litepull::test {

using Script = std::function<void(Peer&)>;
using Scripts = std::map<std::string, Script>;

void add_stream_scripts(Scripts& all);
void add_frame_scripts(Scripts& all);
void add_set_scripts(Scripts& all);
void add_scripts_of_later_pins(Scripts& all);
void add_page_scripts(Scripts& all);
void add_payload_scripts(Scripts& all);
void add_end_scripts(Scripts& all);
void add_look_scripts(Scripts& all);

// Reads the request and greets; then `rest`.
Script greeted(Script rest);
// Greets, says hello and announces all databases; then `rest`.
Script opened(Script rest);
// Announces one database with `change` made to the announcement; the rest is honest.
Script announced(std::function<void(DatabaseInfo&)> change);
// Ends the stream at once, as a crash would.
[[noreturn]] void stop(Peer& peer);

}  // namespace litepull::test
