#include "examples/proxy/chunks.h"

#include <gtest/gtest.h>

#include <string>

namespace proxy {
namespace {

Progress Read(const std::string& text) {
  ChunkLine line;
  return ReadChunkLine(text, &line);
}

TEST(ChunkLine, HasALengthAndMayHaveExtensions) {
  for (const char* text :
       {"1f\r\nx", "1F\r\n", "00001f;a\r\n", "1f ; a = b ;c=\"d;\\\" e\"\r\n", "1f  \r\n"}) {
    ChunkLine line;
    ASSERT_EQ(ReadChunkLine(text, &line), Progress::kDone) << text;
    EXPECT_EQ(line.length, 31u) << text;
    EXPECT_EQ(line.size, std::string(text).find('\n') + 1);
  }
}

TEST(ChunkLine, IsWaitedForAsLongAsItCanBeOne) {
  EXPECT_EQ(Read(""), Progress::kMore);
  EXPECT_EQ(Read("1f;a=\"\r"), Progress::kMore);
  EXPECT_EQ(Read(std::string(kMaxChunkLine - 1, '0')), Progress::kMore);
  EXPECT_EQ(Read(std::string(kMaxChunkLine, '0')), Progress::kBad);
}

TEST(ChunkLine, InAnyOtherFormIsBad) {
  for (const char* text : {"\r\n",       "\n",        "g\r\n",          " 1\r\n",      "+1\r\n",
                           "-1\r\n",     "0x1\r\n",   "1_0\r\n",        "1\n",         "1\r\r\n",
                           "1 2\r\n",    "1;\r\n",    "1;a=\r\n",       "1;a=\"b\r\n", "1;a=\"b\\\r\n",
                           "1;a\rb\r\n", "1;a b\r\n", "1;a=\"b\"c\r\n", "1,a\r\n",     "1000000000000000\r\n",
                           "1;\x01\r\n"}) {
    EXPECT_EQ(Read(text), Progress::kBad) << text;
  }
}

TEST(Trailers, AreFieldsThatDoNotFrame) {
  std::string_view block = "A: b \r\nC:\r\n\r\n", name, value;
  bool good = false;
  ASSERT_TRUE(NextTrailer(&block, &name, &value, &good));
  EXPECT_EQ(name, "A");
  EXPECT_EQ(value, "b");
  ASSERT_TRUE(NextTrailer(&block, &name, &value, &good));
  EXPECT_EQ(value, "");
  EXPECT_FALSE(NextTrailer(&block, &name, &value, &good));
  EXPECT_TRUE(good);
  for (const char* bad : {"A\r\n\r\n", "A : b\r\n\r\n", " A: b\r\n\r\n", "A: b\rc\r\n\r\n",
                          "Content-Length: 1\r\n\r\n", "transfer_encoding: chunked\r\n\r\n", ": a\r\n\r\n"}) {
    block = bad;
    EXPECT_FALSE(NextTrailer(&block, &name, &value, &good)) << bad;
    EXPECT_FALSE(good) << bad;
  }
}

}  // namespace
}  // namespace proxy
