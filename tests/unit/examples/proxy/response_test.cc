#include "examples/proxy/response.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace proxy {
namespace {

struct Result {
  Progress progress = Progress::kMore;
  std::string text;
  Response response;
};

std::string Text(Output* out) {
  std::string text;
  for (const uv_buf_t& buffer : out->Buffers()) text.append(buffer.base, buffer.len);
  out->Clear();
  return text;
}

// In parts of `step` bytes.
void Feed(const std::string& bytes, const ResponseTo& to, size_t step, Result* result) {
  Output out;
  result->response.Begin(to);
  for (size_t at = 0; at < bytes.size() && result->progress == Progress::kMore; at += step) {
    const std::string part = bytes.substr(at, step);
    result->progress = result->response.Feed(part, &out);
    result->text += Text(&out);
  }
}

TEST(Response, IsTheSameHoweverTheBytesCome) {
  const std::string bytes =
      "HTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 200 Fine\r\nServer: s\r\nContent-Length: 5\r\nConnection: keep-alive, X-Own\r\nX-Own: "
      "1\r\n\r\nhello";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    Result result;
    Feed(bytes, {}, step, &result);
    EXPECT_EQ(result.progress, Progress::kDone) << step;
    EXPECT_EQ(result.text, "HTTP/1.1 200 Fine\r\nServer: s\r\nContent-Length: 5\r\n\r\nhello") << step;
    EXPECT_TRUE(result.response.client_persistent());
    EXPECT_TRUE(result.response.upstream_persistent());
  }
}

TEST(Response, ChunksReachTheClientWhole) {
  const std::string bytes =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n";
  Result result;
  Feed(bytes, {}, bytes.size(), &result);
  EXPECT_EQ(result.progress, Progress::kDone);
  EXPECT_EQ(result.text,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n");
  EXPECT_EQ(result.response.body_bytes(), 6u);
}

TEST(Response, OldClientGetsNoChunksAndTheEndOfTheConnection) {
  const std::string bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  Result result;
  Feed(bytes, {false, 0, true}, 7, &result);
  EXPECT_EQ(result.progress, Progress::kDone);
  EXPECT_EQ(result.text, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
  EXPECT_FALSE(result.response.client_persistent());
  EXPECT_TRUE(result.response.upstream_persistent());
}

TEST(Response, OldClientThatAskedKeepsItsConnectionWhereTheLengthIsKnown) {
  const std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
  Result result;
  Feed(bytes, {false, 0, true}, bytes.size(), &result);
  EXPECT_EQ(result.text, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx");
  EXPECT_TRUE(result.response.client_persistent());
}

TEST(Response, BodyUntilTheEndBecomesChunks) {
  Result result;
  Feed("HTTP/1.1 200 OK\r\n\r\nhello", {}, 1000, &result);
  EXPECT_EQ(result.progress, Progress::kMore);
  Output out;
  EXPECT_EQ(result.response.End(&out), Progress::kDone);
  EXPECT_EQ(result.text + Text(&out),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  EXPECT_FALSE(result.response.upstream_persistent());
}

TEST(Response, EndWithinTheMessageIsBad) {
  for (const char* bytes :
       {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "HTTP/1.1 200"}) {
    Result result;
    Feed(bytes, {}, 1000, &result);
    Output out;
    EXPECT_EQ(result.response.End(&out), Progress::kBad) << bytes;
    EXPECT_EQ(result.text.find("0\r\n\r\n"), std::string::npos);
  }
}

TEST(Response, SomeHaveNoBodyWhateverTheyDeclare) {
  Result head;
  Feed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", {true, 1, true}, 1000, &head);
  EXPECT_EQ(head.progress, Progress::kDone);
  EXPECT_EQ(head.text, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
  Result chunked_head;
  Feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", {true, 1, true}, 1000, &chunked_head);
  EXPECT_EQ(chunked_head.progress, Progress::kDone);
  Result unchanged;
  Feed("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", {}, 1000, &unchanged);
  EXPECT_EQ(unchanged.progress, Progress::kDone);
  Result empty;
  Feed("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", {}, 1000, &empty);
  EXPECT_EQ(empty.text, "HTTP/1.1 204 No Content\r\n\r\n");
}

TEST(Response, BytesThatNobodyAskedForEndTheConnection) {
  Result result;
  Feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n", {}, 1000, &result);
  EXPECT_EQ(result.progress, Progress::kDone);
  EXPECT_FALSE(result.response.upstream_persistent());
  EXPECT_TRUE(result.text.ends_with("\r\n\r\nx"));
}

TEST(Response, UpgradeThatWasNotAskedForIsBad) {
  Result result;
  Feed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", {}, 1000, &result);
  EXPECT_EQ(result.progress, Progress::kBad);
  EXPECT_FALSE(result.response.begun());
}

constexpr const char kInterim[] =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: y\r\nY: 1\r\n\r\n"
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
constexpr const char kFinal[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

TEST(Response, InterimHeadsReachWhoCanKnowThem) {
  Result waits;
  Feed(kInterim, {.wants_continue = true}, 1, &waits);
  EXPECT_EQ(waits.text,
            std::string("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n") + kFinal);
  Result does_not;
  Feed(kInterim, {}, 1000, &does_not);
  EXPECT_EQ(does_not.text, std::string("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n") + kFinal);
  Result old;
  Feed(kInterim, {.minor = 0, .keep_alive = false}, 1000, &old);
  EXPECT_EQ(old.text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(Response, EndlessInterimHeadsAreBad) {
  std::string bytes;
  for (int i = 0; i < 101; ++i) bytes += "HTTP/1.1 102 Processing\r\n\r\n";
  Result result;
  Feed(bytes, {}, bytes.size(), &result);
  EXPECT_EQ(result.progress, Progress::kBad);
}

TEST(Response, FieldsAfterTheBodyReachWhoTakesThem) {
  const std::string bytes =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\n!\r\n0\r\nX-Sum: 9\r\n"
      "Set-Cookie: a=b\r\nHost: b\r\n\r\n";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    Result result;
    Feed(bytes, {.trailers = true}, step, &result);
    EXPECT_EQ(result.progress, Progress::kDone) << step;
    EXPECT_EQ(result.text,
              "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!\r\n0\r\nX-Sum: "
              "9\r\n\r\n");
  }
}

TEST(Response, ChunksWithMuchBesidesTheirContentAreBad) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string extensions;
  for (int i = 0; i < 100; ++i) extensions += "1;" + std::string(300, 'a') + "\r\nx\r\n";
  const std::string long_trailer = "0\r\nX: " + std::string(20000, 'a') + "\r\n\r\n";
  // To whom a quoted string ends with the line, the second chunk is the end.
  const std::string over_lines = "1;a=\"\r\nx\r\n0\r\n\r\n\"\r\nx\r\n0\r\n\r\n";
  for (const std::string& body : {extensions, long_trailer, over_lines}) {
    Result result;
    Feed(head + body, {.trailers = true}, 1000, &result);
    EXPECT_EQ(result.progress, Progress::kBad) << body.substr(0, 20);
  }
}

TEST(Response, DateIsAddedWhereThereIsNone) {
  Result without;
  Feed(kFinal, {.date = "now"}, 1000, &without);
  EXPECT_EQ(without.text, "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\n\r\n");
  Result with;
  Feed("HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 0\r\n\r\n", {.date = "now"}, 1000, &with);
  EXPECT_EQ(with.text, "HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 0\r\n\r\n");
}

TEST(Response, KeepAliveSaysHowLongAndHowOften) {
  Result result;
  Feed("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, Max = 99, x\r\nContent-Length: 0\r\n\r\n", {}, 1000,
       &result);
  EXPECT_EQ(result.response.upstream_limits().timeout, 5u);
  EXPECT_EQ(result.response.upstream_limits().max, 99u);
  EXPECT_EQ(result.text.find("Keep-Alive"), std::string::npos);
  Result none;
  Feed("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=-5, max=1234567890\r\nContent-Length: 0\r\n\r\n", {}, 1000,
       &none);
  EXPECT_FALSE(none.response.upstream_limits().timeout);
  EXPECT_FALSE(none.response.upstream_limits().max);
}

TEST(Response, UpgradeThatWasAskedForSwitchesAndHandsOverTheRest) {
  const ResponseTo to = {.upgrade = "websocket"};
  const std::string head =
      "HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nX-Own: 1\r\n\r\n";
  for (size_t step = 1; step <= head.size(); ++step) {
    Result result;
    Feed(head + "rest", to, step, &result);
    EXPECT_EQ(result.progress, Progress::kSwitched) << step;
    EXPECT_EQ(result.text,
              "HTTP/1.1 101 Switching\r\nX-Own: 1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    EXPECT_EQ(result.response.status(), 101);
    EXPECT_TRUE(result.response.begun());
  }
  Result whole;
  Output out;
  whole.response.Begin(to);
  const std::string bytes = head + "rest";
  EXPECT_EQ(whole.response.Feed(bytes, &out), Progress::kSwitched);
  EXPECT_EQ(whole.response.rest(), "rest");
}

TEST(Response, UpgradeToSomethingElseIsBad) {
  for (const char* fields : {"Upgrade: h2c\r\nConnection: upgrade\r\n", "Upgrade: websocket\r\n",
                             "Connection: upgrade\r\n", "Upgrade: websocket, x\r\nConnection: upgrade\r\n"}) {
    Result result;
    Feed(std::string("HTTP/1.1 101 Switching\r\n") + fields + "\r\n", {.upgrade = "websocket"}, 1000,
         &result);
    EXPECT_EQ(result.progress, Progress::kBad) << fields;
    EXPECT_EQ(result.text, "");
  }
}

constexpr char kFirstPart[] = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n0123";

// What the client gets in all when the rest comes from `second`, an answer to the request for it.
Result Resumed(const std::string& second, std::string* wire) {
  Result result;
  Feed(kFirstPart, {}, 1, &result);
  result.response.BeginRest(wire);
  Output out;
  for (size_t at = 0; at < second.size() && result.progress == Progress::kMore; ++at) {
    const std::string part = second.substr(at, 1);
    result.progress = result.response.Feed(part, &out);
    result.text += Text(&out);
  }
  return result;
}

TEST(Response, WhatIsMissingComesFromAnotherServer) {
  std::string wire;
  const Result result = Resumed(
      "HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes 4-9/10\r\nContent-Length: "
      "6\r\n\r\n456789",
      &wire);
  EXPECT_EQ(wire, "Range: bytes=4-\r\nIf-Range: \"v1\"\r\n");
  EXPECT_EQ(result.progress, Progress::kDone);
  EXPECT_EQ(result.text, "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n0123456789");
  EXPECT_EQ(result.response.body_bytes(), 10u);
  EXPECT_EQ(result.response.status(), 200);
}

TEST(Response, NothingButExactlyTheRestIsTakenForIt) {
  const std::string fields = "Content-Length: 6\r\n\r\n456789";
  for (const std::string& head :
       {std::string("200 OK\r\nETag: \"v1\"\r\n"),
        std::string("206 P\r\nETag: \"v2\"\r\nContent-Range: bytes 4-9/10\r\n"),
        std::string("206 P\r\nContent-Range: bytes 4-9/10\r\n"), std::string("206 P\r\nETag: \"v1\"\r\n"),
        std::string("206 P\r\nETag: \"v1\"\r\nContent-Range: bytes 3-8/10\r\n"),
        std::string("206 P\r\nETag: \"v1\"\r\nContent-Range: bytes 4-9/11\r\n"),
        std::string("416 Range Not Satisfiable\r\nContent-Range: bytes */10\r\n"),
        std::string("304 Not Modified\r\n")}) {
    std::string wire;
    const Result result = Resumed("HTTP/1.1 " + head + fields, &wire);
    EXPECT_EQ(result.progress, Progress::kBad) << head;
    EXPECT_EQ(result.text, kFirstPart) << head;
  }
}

TEST(Response, OnlyAStrongValidatorAndALengthLetItGoOn) {
  for (const auto& [head, resumable] :
       std::map<std::string, bool>{{"ETag: \"v1\"\r\nContent-Length: 9\r\n", true},
                                   {"ETag: W/\"v1\"\r\nContent-Length: 9\r\n", false},
                                   {"Content-Length: 9\r\n", false},
                                   {"ETag: \"v1\"\r\n", false}}) {
    Result result;
    Feed("HTTP/1.1 200 OK\r\n" + head + "\r\nabc", {}, 100, &result);
    EXPECT_EQ(result.response.resumable(), resumable) << head;
  }
  Result made;
  Feed("HTTP/1.1 201 Created\r\nETag: \"v1\"\r\nContent-Length: 9\r\n\r\nabc", {}, 100, &made);
  EXPECT_FALSE(made.response.resumable());
}

}  // namespace
}  // namespace proxy
