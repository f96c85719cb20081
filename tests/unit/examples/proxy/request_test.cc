#include "examples/proxy/request.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace proxy {
namespace {

using std::string_literals::operator""s;

std::string Text(Output* out) {
  std::string text;
  for (const uv_buf_t& buffer : out->Buffers()) text.append(buffer.base, buffer.len);
  out->Clear();
  return text;
}

struct Forwarded {
  int status = 0;
  std::string wire;
  Request request;
};

void Forward(const std::string& block, Forwarded* result, const Peer& peer = {"192.0.2.1"}) {
  Head head;
  result->status = CheckRequest(block, &head);
  if (result->status == 0) result->status = result->request.Begin(block, head, peer, &result->wire);
}

TEST(Request, FieldsOfTheConnectionAreNotForwarded) {
  Forwarded result;
  Forward(
      "GET / HTTP/1.1\r\nHost: a\r\nX-Own: 1\r\nConnection: X-Own, keep-alive\r\nKeep-Alive: 5\r\nTE: "
      "trailers\r\n"
      "Upgrade: h2c\r\nProxy-Connection: close\r\nTrailer: X\r\nX-Kept: 2\r\n\r\n",
      &result);
  EXPECT_EQ(result.wire,
            "GET / HTTP/1.1\r\nHost: a\r\nX-Kept: 2\r\nVia: 1.1 fc-proxy\r\nX-Forwarded-For: 192.0.2.1\r\n"
            "X-Forwarded-Proto: http\r\n"
            "X-Forwarded-Host: a\r\n\r\n");
}

TEST(Request, OneUpgradeIsAskedForOn) {
  Forwarded result;
  Forward("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n",
          &result);
  EXPECT_EQ(result.request.upgrade(), "WebSocket");
  EXPECT_TRUE(result.wire.ends_with("\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n")) << result.wire;
}

TEST(Request, UpgradeThatIsNotPlainIsLeftOut) {
  const std::string line = "GET / HTTP/1.1\r\n";
  for (const std::string& start :
       {"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n"s, line + "Upgrade: websocket\r\n",
        line + "Connection: upgrade\r\n", line + "Connection: upgrade\r\nUpgrade: h2c\r\n",
        line + "Connection: upgrade\r\nUpgrade: H2C-14\r\n",
        line + "Connection: upgrade\r\nUpgrade: a, b\r\n",
        line + "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: a\r\n",
        line + "Connection: upgrade\r\nUpgrade: a\r\nContent-Length: 1\r\n",
        line + "Connection: upgrade\r\nUpgrade: a\r\nTransfer-Encoding: chunked\r\n"}) {
    Forwarded result;
    Forward(start + "Host: a\r\n\r\n", &result);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.request.upgrade(), "") << start;
    EXPECT_EQ(result.wire.find("pgrade"), std::string::npos) << result.wire;
  }
}

TEST(Request, ExpectationIsForwardedWhereABodyFollows) {
  Forwarded result;
  Forward("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", &result);
  EXPECT_TRUE(result.request.expects_continue());
  EXPECT_NE(result.wire.find("\r\nExpect: 100-continue\r\n"), std::string::npos);
  for (const char* block :
       {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"}) {
    Forwarded without;
    Forward(block, &without);
    EXPECT_FALSE(without.request.expects_continue());
    EXPECT_EQ(without.wire.find("Expect"), std::string::npos);
  }
}

TEST(Request, TrailersAreAskedForWhereTheClientTakesThem) {
  Forwarded result;
  Forward("GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\nConnection: TE\r\n\r\n", &result);
  EXPECT_TRUE(result.request.takes_trailers());
  EXPECT_TRUE(result.wire.ends_with("\r\nConnection: TE\r\nTE: trailers\r\n\r\n")) << result.wire;
  Forwarded of_somebody_else;
  Forward("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n", &of_somebody_else);
  EXPECT_FALSE(of_somebody_else.request.takes_trailers());
}

TEST(Request, MaxForwardsCountsDownForTheMethodsThatItIsFor) {
  Forwarded result;
  Forward("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n", &result);
  EXPECT_NE(result.wire.find("\r\nMax-Forwards: 9\r\n"), std::string::npos);
  Forwarded get;
  Forward("GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", &get);
  EXPECT_EQ(get.status, 0);
  EXPECT_NE(get.wire.find("\r\nMax-Forwards: 0\r\n"), std::string::npos);
  Forwarded here;
  Forward("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", &here);
  EXPECT_EQ(here.status, 200);
  Forwarded trace;
  Forward("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", &trace);
  EXPECT_EQ(trace.status, 501);
}

constexpr const char kClaims[] =
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\nX_Forwarded_Proto: https\r\n"
    "X-Forwarded-Host: b:81\r\nForwarded: for=198.51.100.1;proto=https\r\nProxy: http://evil\r\n"
    "X-Forwarded-Port: 443\r\nX-Real-IP: 198.51.100.1\r\n\r\n";

TEST(Request, WhatTheClientSaysOfItsOriginIsNotBelieved) {
  Forwarded result;
  Forward(kClaims, &result);
  EXPECT_EQ(result.wire,
            "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 fc-proxy\r\nX-Forwarded-For: 192.0.2.1\r\n"
            "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n");
}

TEST(Request, WhatATrustedProxySaysIsAppendedTo) {
  Forwarded result;
  Forward(kClaims, &result, {"2001:db8::1", true});
  EXPECT_EQ(
      result.wire,
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 198.51.100.1\r\nVia: 1.1 fc-proxy\r\n"
      "X-Forwarded-For: 198.51.100.1, 2001:db8::1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b:81\r\n"
      "Forwarded: for=198.51.100.1;proto=https, for=\"[2001:db8::1]\"\r\n\r\n");
  EXPECT_EQ(result.request.key(), "a") << "the route follows Host";
  Forwarded nonsense;
  Forward("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: x y\r\n\r\n",
          &nonsense, {"192.0.2.1", true});
  EXPECT_TRUE(nonsense.wire.ends_with("\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"));
}

TEST(Request, KeyIsTheHostNameWithoutCasePortAndFinalDot) {
  Forwarded result;
  Forward("GET / HTTP/1.1\r\nHost: WWW.Example.Test.:8080\r\n\r\n", &result);
  EXPECT_EQ(result.request.key(), "www.example.test");
  Forwarded v6;
  Forward("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", &v6);
  EXPECT_EQ(v6.request.key(), "[::1]");
  Forwarded none;
  Forward("GET / HTTP/1.0\r\n\r\n", &none);
  EXPECT_EQ(none.status, 0);
  EXPECT_EQ(none.request.key(), "");
}

TEST(Request, AbsoluteTargetWinsOverHost) {
  Forwarded result;
  Forward("GET http://b.test:81?q HTTP/1.1\r\nHost: a.test\r\n\r\n", &result);
  EXPECT_EQ(result.request.key(), "b.test");
  EXPECT_EQ(result.wire.substr(0, 37), "GET /?q HTTP/1.1\r\nHost: b.test:81\r\nVi");
  Forwarded options;
  Forward("OPTIONS http://b.test HTTP/1.1\r\nHost: a.test\r\n\r\n", &options);
  EXPECT_TRUE(options.wire.starts_with("OPTIONS * HTTP/1.1\r\n"));
}

TEST(Request, OtherTargetsAreRefused) {
  for (const char* line : {"GET ftp://a/ HTTP/1.1", "GET a HTTP/1.1", "GET * HTTP/1.1",
                           "GET http:/// HTTP/1.1", "GET http://u:p@a/ HTTP/1.1"}) {
    Forwarded result;
    Forward(std::string(line) + "\r\nHost: a\r\n\r\n", &result);
    EXPECT_EQ(result.status, 400) << line;
  }
  Forwarded tunnel;
  Forward("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", &tunnel);
  EXPECT_EQ(tunnel.status, 501);
}

TEST(Request, ChunkedBodyIsFramedAnew) {
  Forwarded result;
  Forward("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &result);
  EXPECT_TRUE(result.wire.ends_with("Transfer-Encoding: chunked\r\n\r\n"));
  const std::string body = "3;x=y\r\nabc\r\n00a\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\nGET";
  Output out;
  std::string wire;
  std::string held;
  Progress progress = Progress::kMore;
  for (const char c : body) {
    held.push_back(c);
    std::string_view rest = held;
    progress = result.request.Feed(&rest, &out);
    wire += Text(&out);
    held = std::string(rest);
    if (progress != Progress::kMore) break;
  }
  EXPECT_EQ(progress, Progress::kDone);
  EXPECT_TRUE(result.request.complete());
  EXPECT_EQ(held, "");
  EXPECT_EQ(result.request.body_bytes(), 13u);
  EXPECT_TRUE(wire.starts_with("1\r\na\r\n") || wire.starts_with("3\r\nabc\r\n")) << wire;
  EXPECT_TRUE(wire.ends_with("\r\n0\r\n\r\n"));
  EXPECT_EQ(wire.find("X-Trailer"), std::string::npos);
}

TEST(Request, BadChunksAreRefused) {
  for (const char* body :
       {"x\r\n\r\n", "-1\r\n\r\n", "1\r\nabcdef\r\n", "10000000000000000\r\n", "0x1\r\n\r\n"}) {
    Forwarded result;
    Forward("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &result);
    std::string_view rest = body;
    Output out;
    Progress progress = Progress::kMore;
    while (progress == Progress::kMore) {
      const size_t before = rest.size();
      progress = result.request.Feed(&rest, &out);
      if (rest.size() == before) break;
    }
    EXPECT_EQ(progress, Progress::kBad) << body;
  }
}

TEST(Request, LengthIsGeneratedAndTheRestIsTheNextRequest) {
  Forwarded result;
  Forward("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", &result);
  EXPECT_TRUE(result.wire.ends_with("\r\nContent-Length: 3\r\n\r\n"));
  std::string_view rest = "abcGET /";
  Output out;
  EXPECT_EQ(result.request.Feed(&rest, &out), Progress::kDone);
  EXPECT_EQ(rest, "GET /");
  EXPECT_EQ(Text(&out), "abc");
}

TEST(Request, IdempotenceFollowsTheMethod) {
  for (const char* method : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
    Forwarded result;
    Forward(std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n", &result);
    EXPECT_TRUE(result.request.idempotent()) << method;
  }
  for (const char* method : {"POST", "PATCH", "get", "LOCK"}) {
    Forwarded result;
    Forward(std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n", &result);
    EXPECT_FALSE(result.request.idempotent()) << method;
  }
}

TEST(Request, OnlyAGetOfAWholeRepresentationCanGoOn) {
  const std::string fields = " / HTTP/1.1\r\nHost: a\r\n";
  for (const auto& [block, resumable] :
       {std::pair("GET" + fields, true), std::pair("HEAD" + fields, false),
        std::pair("DELETE" + fields, false), std::pair("GET" + fields + "Range: bytes=4-\r\n", false),
        std::pair("GET" + fields + "Connection: upgrade\r\nUpgrade: x\r\n", false)}) {
    Forwarded result;
    Forward(block + "\r\n", &result);
    ASSERT_EQ(result.status, 0) << block;
    EXPECT_EQ(result.request.resumable(), resumable) << block;
  }
}

}  // namespace
}  // namespace proxy
