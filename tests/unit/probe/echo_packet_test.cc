#include "lib/probe/echo_packet.h"

#include <gtest/gtest.h>

#include <cstring>

namespace fastcontainer {
namespace {

TEST(EchoPacket, RequestDecodesToWhatWasEncoded) {
  uint8_t bytes[kEchoLength];
  EncodeEchoRequest(AF_INET, 0x1234, 0xfedc, {0x1122334455667788, 42, 2}, bytes);
  Echo echo;
  ASSERT_TRUE(DecodeEcho(bytes, sizeof(bytes), &echo));
  EXPECT_EQ(echo.type, 8);
  EXPECT_EQ(echo.code, 0);
  EXPECT_EQ(echo.id, 0x1234);
  EXPECT_EQ(echo.sequence, 0xfedc);
  ASSERT_TRUE(echo.has_tag);
  EXPECT_EQ(echo.tag.cookie, 0x1122334455667788u);
  EXPECT_EQ(echo.tag.slot, 42u);
  EXPECT_EQ(echo.tag.packet, 2u);
}

TEST(EchoPacket, ChecksumOfAWholePacketIsZero) {
  uint8_t bytes[kEchoLength];
  EncodeEchoRequest(AF_INET, 7, 9, {0xdeadbeefcafef00d, 1, 0}, bytes);
  EXPECT_EQ(InternetChecksum(bytes, sizeof(bytes)), 0);
}

TEST(EchoPacket, ChecksumAgreesWithTheExampleOfRfc1071) {
  const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  const uint16_t sum = InternetChecksum(bytes, sizeof(bytes));
  uint8_t as_bytes[2];
  std::memcpy(as_bytes, &sum, 2);
  EXPECT_EQ(as_bytes[0], 0xff & ~0xdd);
  EXPECT_EQ(as_bytes[1], 0xff & ~0xf2);
  // An odd byte counts as if a zero followed.
  const uint8_t odd[] = {0x01, 0x02, 0x03};
  const uint8_t even[] = {0x01, 0x02, 0x03, 0x00};
  EXPECT_EQ(InternetChecksum(odd, 3), InternetChecksum(even, 4));
}

TEST(EchoPacket, QuotationThatEndsBehindTheHeaderHasNoTag) {
  uint8_t bytes[kEchoLength];
  EncodeEchoRequest(AF_INET, 7, 9, {1, 2, 0}, bytes);
  for (size_t length = 0; length <= kEchoLength; ++length) {
    Echo echo;
    EXPECT_EQ(DecodeEcho(bytes, length, &echo), length >= kEchoHeaderLength) << length;
    EXPECT_EQ(echo.has_tag, length == kEchoLength) << length;
  }
}

TEST(EchoPacket, HeaderLengthIsThatOfAWholeIpv4HeaderOnly) {
  uint8_t header[60] = {0x45};
  EXPECT_EQ(Ipv4HeaderLength(header, 20), 20u);
  EXPECT_EQ(Ipv4HeaderLength(header, 19), 0u);
  header[0] = 0x4f;
  EXPECT_EQ(Ipv4HeaderLength(header, 60), 60u);
  EXPECT_EQ(Ipv4HeaderLength(header, 59), 0u);
  header[0] = 0x44;
  EXPECT_EQ(Ipv4HeaderLength(header, 60), 0u);
  header[0] = 0x65;
  EXPECT_EQ(Ipv4HeaderLength(header, 60), 0u);
}

}  // namespace
}  // namespace fastcontainer
