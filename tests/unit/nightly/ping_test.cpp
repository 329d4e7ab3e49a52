#include "client/nightly/ping.h"

#include <gtest/gtest.h>

#include "tests/support/http_server.h"
#include "tests/support/loopback.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {

using Requests = std::vector<HttpRequest>;
using Manner = HttpReply::Manner;

TEST(Ping, EachEventHasItsPathAndFailureItsText) {
  const HttpServer server;
  const std::string url = server.url("/uuid");
  EXPECT_EQ(ping(url, PingEvent::kStart), "");
  EXPECT_EQ(ping(url, PingEvent::kSuccess), "");
  EXPECT_EQ(ping(url, PingEvent::kFailure, "no route to host\nmore"), "");
  EXPECT_EQ(server.requests(), (Requests{{"GET", "/uuid/start", ""},
                                         {"GET", "/uuid", ""},
                                         {"POST", "/uuid/fail", "no route to host\nmore"}}));
}

TEST(Ping, AQueryStaysBehindThePath) {
  const HttpServer server;
  EXPECT_EQ(ping(server.url("/a/b/?create=1"), PingEvent::kStart), "");
  EXPECT_EQ(ping(server.url(""), PingEvent::kFailure, ""), "");
  EXPECT_EQ(server.requests(), (Requests{{"GET", "/a/b/start?create=1", ""}, {"POST", "/fail", ""}}));
}

TEST(Ping, AnErrorOfTheServersIsTriedOnceMoreAndARefusalIsNot) {
  const HttpServer broken([](const HttpRequest&) { return HttpReply{503}; });
  EXPECT_EQ(ping(broken.url("/x"), PingEvent::kSuccess), "HTTP status 503");
  EXPECT_EQ(broken.requests().size(), 2U);
  const HttpServer unknown([](const HttpRequest&) { return HttpReply{404}; });
  EXPECT_EQ(ping(unknown.url("/x"), PingEvent::kSuccess), "HTTP status 404");
  EXPECT_EQ(unknown.requests().size(), 1U);
}

TEST(Ping, TheSecondTryCounts) {
  int asked = 0;
  const HttpServer server([&](const HttpRequest&) { return HttpReply{++asked == 1 ? 500 : 200}; });
  EXPECT_EQ(ping(server.url("/x"), PingEvent::kSuccess), "");
}

TEST(Ping, WhoeverSaysNothingIsGivenUp) {
  const HttpServer server([](const HttpRequest&) { return HttpReply{200, "", Manner::kSayNothing}; });
  EXPECT_NE(ping(server.url("/secret"), PingEvent::kSuccess, "", 700), "");
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(Ping, AnAnswerWithoutEndIsCutOffAndCounts) {
  const HttpServer server([](const HttpRequest&) { return HttpReply{200, "", Manner::kNeverEnd}; });
  EXPECT_EQ(ping(server.url("/x"), PingEvent::kSuccess), "");
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(Ping, WhereNobodyListensItSaysSoWithoutTheUrl) {
  const ClosedPort port;
  const std::string problem =
      ping("http://127.0.0.1:" + std::to_string(port.port()) + "/secret", PingEvent::kSuccess);
  EXPECT_NE(problem, "");
  EXPECT_EQ(problem.find("secret"), std::string::npos);
}

TEST(Ping, ARedirectIsFollowedToHttpWithItsTextAndToNothingElse) {
  const HttpServer target;
  const HttpServer there([&](const HttpRequest&) { return HttpReply{301, target.url("/moved")}; });
  EXPECT_EQ(ping(there.url("/x"), PingEvent::kFailure, "why"), "");
  EXPECT_EQ(target.requests(), (Requests{{"POST", "/moved", "why"}}));

  const TempDir dir;
  write_file(dir / "file", "content");
  for (const std::string& location : {"file://" + dir / "file", std::string("ftp://127.0.0.1/x")}) {
    const HttpServer elsewhere([&](const HttpRequest&) { return HttpReply{302, location}; });
    EXPECT_NE(ping(elsewhere.url("/x"), PingEvent::kSuccess), "") << location;
  }
}

TEST(Ping, ARedirectInACircleEnds) {
  const HttpServer* self = nullptr;
  const HttpServer server([&](const HttpRequest&) { return HttpReply{302, self->url("/again")}; });
  self = &server;
  EXPECT_NE(ping(server.url("/x"), PingEvent::kSuccess), "");
  EXPECT_LE(server.requests().size(), 4U);
}

TEST(PingUrl, IsHttpOrHttpsWithAHost) {
  for (const char* url : {"https://hc-ping.com/uuid", "http://localhost:8000/ping/x?create=1",
                          "https://[::1]/x", "https://user:word@example.com/x"})
    EXPECT_EQ(why_not_pingable(url), "") << url;
  for (const char* url :
       {"file:///etc/passwd", "ftp://example.com/x", "hc-ping.com/uuid", "https://", "gopher://x/",
        "https://example.com/a b", "https://example.com/\x01", "https://example.com/\xff"})
    EXPECT_NE(why_not_pingable(url), "") << url;
}

TEST(PingUrl, IsShownWithoutWhatMakesItASecret) {
  EXPECT_EQ(shown_url("https://user:word@hc-ping.com/3b9cf1a2?key=k"), "https://hc-ping.com");
}

}  // namespace
}  // namespace litepull::test
