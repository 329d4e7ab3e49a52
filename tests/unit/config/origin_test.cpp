#include "client/config/origin.h"

#include <gtest/gtest.h>

#include "client/pull/manifest_of.h"
#include "client/pull/pull.h"
#include "common/error.h"

namespace litepull {
namespace {

using Source = Manifest::Server;

constexpr std::int64_t kNow = 1'795'309'200;
const std::string kKey = "SHA256:" + std::string(43, 'a');
const std::string kOtherKey = "SHA256:" + std::string(43, 'b');

Source source(const std::string& host, const std::string& directory, const std::string& key = "",
              const std::string& id = "") {
  Source made{"ssh", host, 22, "deploy", directory};
  made.host_key = key;
  made.app_id = id;
  return made;
}

Config config_of(const Source& source) {
  Config config;
  config.file = "config/projects/billing.env";
  config.app_name = "billing";
  config.app_id = source.app_id;
  config.server_host = source.host;
  config.server_port = source.port;
  config.server_user = source.user;
  config.remote_backup_dir = source.directory;
  return config;
}

// Each is an hour newer than the one before it, and the last one is an hour old.
Listing listing_of(const std::vector<Source>& sources) {
  Listing listing;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    Snapshot snapshot;
    snapshot.time = {kNow - 3600 * static_cast<std::int64_t>(sources.size() - i), 0};
    snapshot.name = format_snapshot_name(snapshot.time);
    snapshot.manifest.emplace();
    snapshot.manifest->snapshot = snapshot.name;
    snapshot.manifest->server = sources[i];
    snapshot.manifest->databases.resize(1);
    listing.snapshots.push_back(snapshot);
  }
  return listing;
}

std::string origins_of(Listing listing, const Source& here) {
  mark_origins(listing, here);
  std::string text;
  for (const Snapshot& snapshot : listing.snapshots)
    text += snapshot.origin == Origin::kHere ? 'h' : snapshot.foreign() ? 'f' : 'm';
  return text;
}

// The message with which a pull of `here` from the server with this key stops; empty when it goes on.
std::string stopped(Listing listing, const Source& here, WhenForeign when = WhenForeign::kStop) {
  try {
    arrive(config_of(here), here.host_key, when, kNow, listing);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
    return error.message() + "\n" + error.hint();
  }
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// --- two sources -----------------------------------------------------------------------------------------

struct Pair {
  const char* why;
  Source a, b;
  bool same;
};

TEST(OriginTest, TwoSourcesAreOneWhenNothingTellsThemApart) {
  const auto at = [](Source made, std::uint16_t port, const std::string& proxy = "") {
    made.port = port;
    made.proxy = proxy;
    return made;
  };
  const auto of_user = [](Source made, const std::string& user) {
    made.user = user;
    return made;
  };
  const Source local{"local", "", 0, "", "/data"};
  const Pair pairs[] = {
      {"an old manifest", source("a", "/data"), source("a", "/data", kKey, "1"), true},
      {"a key that was changed", source("a", "/data", kKey), source("a", "/data", kOtherKey), true},
      {"a host's other name", source("10.0.0.1", "/data", kKey), source("a", "/data", kKey), true},
      {"another port", source("a", "/data", kKey), at(source("a", "/data", kKey), 2222), true},
      {"another jump host", at(source("a", "/data", kKey), 22, "b"), source("a", "/data", kKey), true},
      {"another user", source("a", "/data"), of_user(source("a", "/data"), "root"), true},
      {"letter case and dots", source("A.Example.", "/data//x/"), source("a.example", "/data/./x"), true},
      {"an id that was added", source("a", "/data"), source("a", "/data", "", "1"), true},
      {"this machine", local, local, true},
      {"two apps on a server", source("a", "/data", kKey), source("a", "/staging", kKey), false},
      {"a copy, edited", source("a", "/data", "", "1"), source("b", "/staging", "", "1"), false},
      {"another host", source("a", "/data"), source("b", "/data"), false},
      {"another host and key", source("a", "/data", kKey), source("b", "/data", kOtherKey), false},
      {"another host, one key unknown", source("a", "/data"), source("b", "/data", kKey), false},
      {"two tunnels", at(source("localhost", "/data", kKey), 2201),
       at(source("localhost", "/data", kOtherKey), 2202), false},
      {"one address in two networks", at(source("10.0.0.1", "/data", kKey), 22, "a"),
       at(source("10.0.0.1", "/data", kOtherKey), 22, "b"), false},
      {"another app's id", source("a", "/data", kKey, "1"), source("a", "/data", kKey, "2"), false},
      {"homes of two users", source("a", "~/data", kKey), of_user(source("a", "~/data", kKey), "b"), false},
      {"this machine and a server", local, source("localhost", "/data"), false},
  };
  for (const Pair& pair : pairs) {
    EXPECT_EQ(same_source(pair.a, pair.b), pair.same) << pair.why;
    EXPECT_EQ(same_source(pair.b, pair.a), pair.same) << pair.why;
  }
}

TEST(OriginTest, WhatTellsTwoSourcesApartIsInBothTexts) {
  SourceTexts texts = side_by_side(source("a", "/data"), source("b", "/data"));
  EXPECT_EQ(texts.theirs, "deploy@a:/data");
  EXPECT_EQ(texts.ours, "deploy@b:/data");
  texts = side_by_side(source("a", "/data", kKey, "1"), source("a", "/data", kOtherKey, "2"));
  EXPECT_EQ(texts.theirs, "deploy@a:/data, host key " + kKey + ", APP_ID 1");
  EXPECT_EQ(texts.ours, "deploy@a:/data, host key " + kOtherKey + ", APP_ID 2");
  Source there = source("a", "/data");
  there.port = 2222;
  texts = side_by_side(there, source("a", "/data"));
  EXPECT_EQ(texts.theirs, "deploy@a:/data, port 2222");
  EXPECT_EQ(texts.ours, "deploy@a:/data, port 22");
}

TEST(OriginTest, ATextFromAManifestIsSafeToPrint) {
  Source hostile = source("a\x1B[2J", "/data\n");
  EXPECT_EQ(side_by_side(hostile, hostile).theirs.find_first_of("\x1B\n"), std::string::npos);
}

TEST(OriginTest, AConfigurationsSourceIsThatOfItsManifests) {
  Config config = config_of(source("a", "/data", "", "1"));
  config.ssh_proxy = SshProxy{"root", "fe80::1", 2222};
  const Source made = source_of(config, kKey);
  EXPECT_EQ(made.host_key, kKey);
  EXPECT_EQ(made.proxy, "root@[fe80::1]:2222");
  EXPECT_TRUE(parse_hop(made.proxy));
  EXPECT_EQ(source_of(config, "unknown").host_key, "");
  config.transport = Transport::kLocal;
  EXPECT_EQ(source_of(config, kKey), (Source{"local", "", 0, "", "/data", "", "", "1"}));
}

// --- a directory of snapshots ----------------------------------------------------------------------------

TEST(OriginTest, SnapshotsOfAnotherServerAreForeign) {
  const Source here = source("a", "/data"), there = source("b", "/data");
  EXPECT_EQ(origins_of(listing_of({here, there, here, there}), here), "hfhf");
  EXPECT_EQ(origins_of(listing_of({here, there, here, there}), there), "fhfh");
}

TEST(OriginTest, WhatDoesNotSayWhereItIsFromIsTheAppsOwn) {
  Listing listing = listing_of({Source{}, source("a", "/data")});
  listing.snapshots.emplace_back();  // of the old script
  EXPECT_EQ(origins_of(listing, source("a", "/data")), "hhh");
}

TEST(OriginTest, AKeyThatOneSnapshotRecordedMakesAHostsOldNameKnown) {
  const Source old_name = source("10.0.0.1", "/data", kKey), here = source("a", "/data", kKey);
  EXPECT_EQ(origins_of(listing_of({old_name, here}), source("a", "/data")), "hh");
  EXPECT_EQ(origins_of(listing_of({old_name}), source("a", "/data")), "f") << "nothing proves it yet";
  EXPECT_EQ(origins_of(listing_of({old_name}), here), "h");
}

TEST(OriginTest, SnapshotsFromBeforeAMoveAreToldApartFromForeignOnes) {
  const Source first = source("a", "/data"), second = source("b", "/data"), third = source("c", "/data"),
               other = source("d", "/data");
  Listing listing = listing_of({first, other, second, third});
  listing.snapshots[2].manifest->moved_from = first;
  listing.snapshots[3].manifest->moved_from = second;
  EXPECT_EQ(origins_of(listing, third), "mfmh");
  EXPECT_EQ(origins_of(listing, first), "hfff") << "who stayed behind does not know of the move";
}

TEST(OriginTest, AManifestWithoutAnIdLeadsToNoOtherAppsSnapshots) {
  EXPECT_EQ(origins_of(listing_of({source("a", "/data", "", "1"), source("a", "/data")}),
                       source("a", "/data", "", "2")),
            "fh");
}

TEST(OriginTest, AForeignSnapshotIsNeverTheOneThatDatabasesAreMissedFrom) {
  Listing listing = listing_of({source("a", "/data"), source("b", "/data")});
  mark_origins(listing, source("a", "/data"));
  EXPECT_EQ(newest_complete(listing), &*listing.snapshots[0].manifest);
  EXPECT_EQ(newest_with_manifest(listing), &listing.snapshots[0]);
  mark_origins(listing, source("c", "/data"));
  EXPECT_EQ(newest_complete(listing), nullptr);
  EXPECT_EQ(newest_with_manifest(listing), &listing.snapshots[1]) << "its pages may be of use";
}

// --- before a pull ---------------------------------------------------------------------------------------

TEST(OriginTest, APullStopsWhenTheNewestSnapshotIsForeignAndNamesBoth) {
  const Source here = source("a", "/data"), there = source("b", "/staging");
  EXPECT_EQ(stopped(listing_of({}), here), "");
  EXPECT_EQ(stopped(listing_of({there, here}), here), "");
  const std::string words = stopped(listing_of({here, there}), here);
  EXPECT_TRUE(has(words, "deploy@a:/data")) << words;
  EXPECT_TRUE(has(words, "deploy@b:/staging")) << words;
  EXPECT_TRUE(has(words, "litepull backup config/projects/billing.env --moved")) << words;
}

TEST(OriginTest, AHostThatHasANewNameOrANewKeyIsToldAndNoReasonToStop) {
  const auto note = [](const Source& before, const Source& now) {
    Listing listing = listing_of({before});
    return arrive(config_of(now), now.host_key, WhenForeign::kStop, kNow, listing).note;
  };
  const Source here = source("a", "/data", kKey);
  EXPECT_EQ(note(here, here), "");
  EXPECT_EQ(note(source("a", "/data"), here), "") << "a manifest of before knows no key";
  EXPECT_TRUE(has(note(here, source("b", "/data", kKey)), "deploy@b:/data"));
  EXPECT_TRUE(has(note(here, source("a", "/data", kOtherKey)), kOtherKey));
}

TEST(OriginTest, WhatIsFromTheFutureOrASafetySnapshotStopsNoPull) {
  const Source here = source("a", "/data"), there = source("b", "/data");
  Listing listing = listing_of({here, there, there});
  listing.snapshots[1].manifest->label = "before-restore";
  listing.snapshots[2].time.unix_s = kNow + 24 * 3600 + 1;
  EXPECT_EQ(stopped(listing, here), "");
  listing.snapshots[2].time.unix_s = kNow + 3600;  // this clock was set back a little
  EXPECT_NE(stopped(listing, here), "");
}

TEST(OriginTest, AMoveIsRecordedOnceAndIsAnErrorWhereThereIsNone) {
  const Source here = source("a", "/data"), there = source("b", "/data");
  Listing listing = listing_of({there});
  const Arrival arrival = arrive(config_of(here), kKey, WhenForeign::kMoved, kNow, listing);
  ASSERT_TRUE(arrival.moved_from);
  EXPECT_EQ(*arrival.moved_from, there);
  EXPECT_EQ(arrival.source.host_key, kKey);
  EXPECT_EQ(listing.snapshots[0].origin, Origin::kMoved);
  EXPECT_TRUE(has(stopped(listing_of({here}), here, WhenForeign::kMoved), "leave out --moved"));
  EXPECT_TRUE(has(stopped(listing_of({}), here, WhenForeign::kMoved), "leave out --moved"));
}

TEST(OriginTest, ASafetySnapshotIsTakenWhateverIsThere) {
  EXPECT_EQ(stopped(listing_of({source("b", "/data")}), source("a", "/data"), WhenForeign::kGoOn), "");
}

// --- two configurations ----------------------------------------------------------------------------------

TEST(OriginTest, TwoConfigurationsOfOneDirectoryAreNamed) {
  Config a = config_of(source("a", "/data")), b = config_of(source("b", "/staging"));
  a.local_backup_root = b.local_backup_root = "/nowhere/backups";
  b.file = "staging.env";
  EXPECT_TRUE(shared_directory(a, b).is_error);
  EXPECT_TRUE(has(shared_directory(a, b).text, "staging.env"));
  EXPECT_TRUE(has(shared_directory(a, b).text, "deploy@b:/staging"));
  b.local_backup_root = "/nowhere/else/../backups/.";
  EXPECT_TRUE(shared_directory(a, b).is_error);
  b.app_name = "staging";
  EXPECT_EQ(shared_directory(a, b).text, "");
  EXPECT_FALSE(shared_directory(a, a).is_error);
  EXPECT_NE(shared_directory(a, a).text, "");
}

}  // namespace
}  // namespace litepull
