#include "lib/dispatch/message.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

namespace fastcontainer {
namespace {

Message Full(MessageType type) {
  Message m;
  m.type = type;
  m.request_id = 0x1122334455667788;
  m.container = std::string(200, 'c');
  m.replica = 3;
  m.epoch = 7;
  m.spec_revision = 9;
  m.suspect = true;
  m.open = 4;
  m.waiting = 5;
  m.busy_ns = 123456789012;
  m.instance = 0xfeedfacecafebeef;
  m.address = *Address::Parse("[2001:db8::1]:8080");
  m.slots = 16;
  m.lease = 5 * kSecond;
  m.since = 20 * kMillisecond;
  m.eta = 30 * kMillisecond;
  m.host = std::string(200, 'h');
  m.reason = std::string(300, 'r');
  m.retry_after = kSecond;
  m.moved = true;
  m.verdict = PeerVerdict::kServiceDown;
  m.load = {1.5f, 1u << 30, 12.5f, 3, 1, true, 500};
  return m;
}

constexpr MessageType kAll[] = {MessageType::kEcho,      MessageType::kEchoOk,     MessageType::kAcquire,
                                MessageType::kGrant,     MessageType::kWait,       MessageType::kMoved,
                                MessageType::kFull,      MessageType::kFailed,     MessageType::kRenew,
                                MessageType::kRelease,   MessageType::kRevoke,     MessageType::kPrepare,
                                MessageType::kPeerProbe, MessageType::kPeerVerdict};

std::string Encoded(const Message& message) {
  std::string body;
  EncodeMessage(message, &body);
  return body;
}

TEST(Message, EveryTypeKeepsItsFieldsAndLosesTheOthers) {
  for (const MessageType type : kAll) {
    const Message in = Full(type);
    const absl::StatusOr<Message> out = DecodeMessage(Encoded(in));
    ASSERT_TRUE(out.ok()) << static_cast<int>(type) << " " << out.status();
    EXPECT_EQ(out->type, type);
    EXPECT_EQ(out->request_id, in.request_id);
    const bool peer = type == MessageType::kPeerProbe || type == MessageType::kPeerVerdict;
    const bool subject = type != MessageType::kEcho && type != MessageType::kEchoOk && !peer;
    EXPECT_EQ(out->container, subject ? in.container : "");
    EXPECT_EQ(out->epoch, subject ? 7u : 0u);
    EXPECT_EQ(out->address, type == MessageType::kGrant ? in.address : Address());
    EXPECT_EQ(out->host, peer || type == MessageType::kMoved ? in.host : "");
    EXPECT_EQ(out->verdict,
              type == MessageType::kPeerVerdict ? PeerVerdict::kServiceDown : PeerVerdict::kNone);
    EXPECT_EQ(out->moved, type == MessageType::kRevoke);
    EXPECT_EQ(out->suspect, type == MessageType::kRevoke || type == MessageType::kAcquire);
    EXPECT_EQ(Encoded(*out), Encoded(in));
  }
}

TEST(Message, AGrantCarriesEndpointSlotsLeaseAndLoad) {
  const Message in = Full(MessageType::kGrant);
  const absl::StatusOr<Message> out = DecodeMessage(Encoded(in));
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(out->instance, in.instance);
  EXPECT_EQ(out->slots, 16u);
  EXPECT_EQ(out->lease, 5 * kSecond);
  EXPECT_EQ(out->load.free_cpu, 1.5f);
  EXPECT_EQ(out->load.free_memory, uint64_t{1} << 30);
  EXPECT_EQ(out->load.pressure, 12.5f);
  EXPECT_EQ(out->load.running, 3u);
  EXPECT_TRUE(out->load.overloaded);
  EXPECT_EQ(out->load.ask_every_ms, 500u);
}

TEST(Message, NoBodyIsLongerThanAPaddedQuestion) {
  for (const MessageType type : kAll) EXPECT_LE(Encoded(Full(type)).size() + 41, kQuestionSize);
}

TEST(Message, AReasonIsCutAndStrangeNumbersAreTamed) {
  Message in = Full(MessageType::kFull);
  in.retry_after = -5;
  in.load.free_cpu = std::numeric_limits<float>::infinity();
  const absl::StatusOr<Message> out = DecodeMessage(Encoded(in));
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->reason.size(), 120u);
  EXPECT_EQ(out->retry_after, 0);
  EXPECT_EQ(out->load.free_cpu, 0.0f);
}

TEST(Message, ZerosAtTheEndArePaddingAndAnythingElseIsAnError) {
  std::string body = Encoded(Full(MessageType::kAcquire));
  body.append(50, '\0');
  EXPECT_TRUE(DecodeMessage(body).ok());
  body.back() = 'x';
  EXPECT_EQ(DecodeMessage(body).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Message, EveryCutIsAnErrorOrAShorterMessage) {
  for (const MessageType type : kAll) {
    const std::string body = Encoded(Full(type));
    for (size_t length = 0; length < body.size(); ++length)
      EXPECT_FALSE(DecodeMessage(std::string_view(body).substr(0, length)).ok())
          << static_cast<int>(type) << " cut to " << length;
  }
}

TEST(Message, UnknownTypesAndEmptyContainersAreRefused) {
  EXPECT_FALSE(DecodeMessage(std::string(9, '\0')).ok());
  EXPECT_FALSE(DecodeMessage(std::string(1, '\x0c') + std::string(100, '\0')).ok());
  EXPECT_FALSE(DecodeMessage(std::string(1, '\x03') + std::string(100, '\0')).ok());
}

TEST(Message, DamagedBodiesNeverReadPastTheEnd) {
  std::mt19937 random(7);
  for (int round = 0; round < 50'000; ++round) {
    std::string body = Encoded(Full(kAll[random() % std::size(kAll)]));
    body.resize(random() % (body.size() + 1));
    for (int flips = 0; flips < 3 && !body.empty(); ++flips)
      body[random() % body.size()] = static_cast<char>(random());
    const absl::StatusOr<Message> out = DecodeMessage(body);
    if (!out.ok()) continue;
    EXPECT_LE(out->container.size(), 200u);
    EXPECT_GE(out->lease, 0);
    EXPECT_LE(out->lease, 24 * 3600 * kSecond);
  }
}

}  // namespace
}  // namespace fastcontainer
