#include "examples/proxy/header_check.h"

#include <gtest/gtest.h>

#include <string>

namespace proxy {
namespace {

int Request(const std::string& block, Head* head) {
  HeadScan scan;
  if (scan.Continue(block) != HeadScan::Result::kComplete) return 400;
  return CheckRequest(block, head);
}

int Request(const std::string& block) {
  Head head;
  return Request(block, &head);
}

int WithFields(const std::string& fields) {
  return Request("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n");
}

int Response(const std::string& block) {
  HeadScan scan;
  if (scan.Continue(block) != HeadScan::Result::kComplete) return 502;
  Head head;
  return CheckResponse(block, &head);
}

TEST(HeadScan, FindsTheEndHoweverTheBytesCome) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
  HeadScan scan;
  for (size_t i = 1; i < text.size() - 4; ++i) {
    ASSERT_EQ(scan.Continue(text.substr(0, i)), HeadScan::Result::kMore) << i;
  }
  EXPECT_EQ(scan.Continue(text), HeadScan::Result::kComplete);
  EXPECT_EQ(scan.size(), text.size() - 4);
}

TEST(HeadScan, LineThatEndsWithLineFeedAloneIsBad) {
  HeadScan scan;
  EXPECT_EQ(scan.Continue("GET / HTTP/1.1\nHost: a\n\n"), HeadScan::Result::kBad);
  HeadScan second;
  EXPECT_EQ(second.Continue("GET / HTTP/1.1\r\nHost: a\r\n\n"), HeadScan::Result::kBad);
}

TEST(HeadScan, BlockAboveTheLimitIsRefusedBeforeItsEnd) {
  HeadScan one_line;
  EXPECT_EQ(one_line.Continue(std::string(kMaxHeadBytes, 'a')), HeadScan::Result::kMore);
  EXPECT_EQ(one_line.Continue(std::string(kMaxHeadBytes + 1, 'a')), HeadScan::Result::kTooLarge);
  std::string lines = "GET / HTTP/1.1\r\n";
  while (lines.size() <= kMaxHeadBytes) lines += "A: b\r\n";
  HeadScan many_lines;
  EXPECT_EQ(many_lines.Continue(lines), HeadScan::Result::kTooLarge);
}

TEST(CheckRequest, LearnsWhatDecidesFramingAndRoute) {
  Head head;
  const std::string block =
      "POST /a?b HTTP/1.1\r\nhOST:  Example.test:80 \r\nContent-Length: 42\r\n"
      "Connection: close, X-Own\r\nExpect: 100-Continue\r\n\r\n";
  ASSERT_EQ(Request(block, &head), 0);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(head.host, "Example.test:80");
  EXPECT_EQ(head.minor, 1);
  EXPECT_TRUE(head.has_length);
  EXPECT_EQ(head.length, 42u);
  EXPECT_TRUE(head.close);
  EXPECT_TRUE(head.expects_continue);
  EXPECT_TRUE(head.Names("x-own"));
  EXPECT_FALSE(head.Names("close"));
}

TEST(CheckRequest, PersistenceFollowsTheVersion) {
  Head head;
  ASSERT_EQ(Request("GET / HTTP/1.0\r\nHost: a\r\n\r\n", &head), 0);
  EXPECT_FALSE(head.Persistent());
  ASSERT_EQ(Request("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", &head), 0);
  EXPECT_TRUE(head.Persistent());
  ASSERT_EQ(Request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &head), 0);
  EXPECT_TRUE(head.Persistent());
  ASSERT_EQ(Request("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", &head), 0);
  EXPECT_FALSE(head.Persistent());
}

TEST(CheckRequest, LengthThatCanBeReadTwoWaysIsRefused) {
  for (const char* fields :
       {"Content-Length: 1\r\nContent-Length: 1\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1, 1\r\n", "Content-Length: +1\r\n", "Content-Length: -1\r\n",
        "Content-Length: 0x1\r\n", "Content-Length: 1 1\r\n", "Content-Length:\r\n",
        "Content-Length: 1234567890123456789\r\n", "Content-Length: 01\r\n", "Content-Length: 00\r\n",
        "Content_Length: 1\r\n"}) {
    EXPECT_EQ(WithFields(fields), 400) << fields;
  }
  EXPECT_EQ(WithFields("Content-Length: 123456789012345678\r\n"), 0);
}

TEST(CheckRequest, TransferCodingOtherThanOneChunkedIsRefused) {
  for (const char* fields :
       {"Transfer-Encoding: gzip\r\n", "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, x\r\n", "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n", "Transfer-Encoding: chunked;a\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding:\r\n",
        "Transfer_Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"}) {
    EXPECT_EQ(WithFields(fields), 400) << fields;
  }
  EXPECT_EQ(WithFields("Transfer-Encoding: Chunked\r\n"), 0);
  EXPECT_EQ(Request("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(CheckRequest, ExactlyOneValidHost) {
  EXPECT_EQ(Request("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(Request("GET / HTTP/1.0\r\n\r\n"), 0);
  EXPECT_EQ(WithFields("Host: a\r\n"), 400);
  for (const char* host : {"a/b", "a b", "u@a", "a:b", "", "[::1", "[::1]x", "[]", "a:1:2", "a%20"}) {
    EXPECT_EQ(Request(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"), 400) << host;
  }
  for (const char* host : {"a", "A-1.b_c.", "a:80", "a:", "127.0.0.1:8080", "[::1]", "[fe80::1]:80"}) {
    EXPECT_EQ(Request(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"), 0) << host;
  }
}

TEST(CheckRequest, MalformedLinesAreRefused) {
  for (const char* fields :
       {"A: b\r\n c\r\n", "A: b\r\n\tc\r\n", "A : b\r\n", "A\t: b\r\n", ": b\r\n", "A\r\n", "A: b\rc\r\n",
        "A: b\x01\r\n", "A: \x7f\r\n", "A(): b\r\n", " A: b\r\n"}) {
    EXPECT_EQ(WithFields(fields), 400) << fields;
  }
  EXPECT_EQ(WithFields(std::string("A: b\0c\r\n", 8)), 400);
  EXPECT_EQ(WithFields("A: b\tc \x80\xff\r\nB:\r\n"), 0);
}

TEST(CheckRequest, MalformedRequestLinesAreRefused) {
  for (const char* line :
       {"GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET\t/ HTTP/1.1", "GET / http/1.1",
        "GET / HTTP/1.", "GET / HTTP/11", "G(T / HTTP/1.1", "GET /\x01 HTTP/1.1", "GET /#a HTTP/1.1",
        "GET /\xc3\xa9 HTTP/1.1", ""}) {
    EXPECT_EQ(Request(std::string(line) + "\r\nHost: a\r\n\r\n"), 400) << line;
  }
  EXPECT_EQ(Request("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(Request("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505);
}

TEST(CheckRequest, TooManyFieldsAreTooLarge) {
  std::string fields;
  for (size_t i = 1; i < kMaxFields; ++i) fields += "A: b\r\n";
  EXPECT_EQ(WithFields(fields), 0);
  EXPECT_EQ(WithFields(fields + "A: b\r\n"), 431);
}

TEST(CheckRequest, UnknownExpectationFails) { EXPECT_EQ(WithFields("Expect: miracle\r\n"), 417); }

TEST(CheckResponse, IsAsStrict) {
  EXPECT_EQ(Response("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"), 0);
  EXPECT_EQ(Response("HTTP/1.1 200 OK\r\nContent-Length: 0001\r\n\r\n"), 0);
  EXPECT_EQ(Response("HTTP/1.0 204 \r\n\r\n"), 0);
  for (const char* block : {"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
                            "HTTP/1.1 099 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
                            "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                            "HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n", "\r\n"}) {
    EXPECT_EQ(Response(block), 502) << block;
  }
}

}  // namespace
}  // namespace proxy
