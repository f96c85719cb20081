#include "lib/dispatch/channel.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/dispatch/fake_datagrams.h"

namespace fastcontainer {
namespace {

ClusterKey KeyOf(uint8_t fill) {
  ClusterKey key;
  key.fill(fill);
  return key;
}

class ChannelTest : public testing::Test {
 protected:
  std::unique_ptr<Channel> Open(const char* address, std::vector<ClusterKey> keys, const char* name,
                                uint64_t boot = 100) {
    auto channel = std::make_unique<Channel>(net.Open(*Address::Parse(address)), std::move(keys), name, boot);
    channel->SetCallbacks(
        [this](const Address& from, const PeerId& peer, const Message& message) {
          got.push_back(message);
          last_from = from;
          last_peer = peer;
        },
        nullptr);
    return channel;
  }
  static Message Ask(uint64_t id) {
    Message m;
    m.type = MessageType::kAcquire;
    m.container = "site";
    m.request_id = id;
    return m;
  }

  FakeDatagrams net;
  std::vector<Message> got;
  Address last_from;
  PeerId last_peer;
  const Address host = *Address::Parse("10.0.0.1:7070");
  const Address local = *Address::Parse("127.0.0.1:7070");
};

TEST_F(ChannelTest, DeliversWithTheSendersNameAndBoot) {
  const auto a = Open("10.0.0.2:5", {KeyOf(1)}, "router");
  const auto b = Open("10.0.0.1:7070", {KeyOf(1)}, "host");
  a->Send(host, Ask(42));
  net.Deliver();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].request_id, 42u);
  EXPECT_EQ(last_peer.boot, 100u);
  EXPECT_EQ(last_from, *Address::Parse("10.0.0.2:5"));
}

TEST_F(ChannelTest, QuestionsArePaddedAndAnswersAreNotLonger) {
  const auto a = Open("10.0.0.2:5", {KeyOf(1)}, "router");
  Message answer = Ask(1);
  for (const MessageType question :
       {MessageType::kEcho, MessageType::kAcquire, MessageType::kRenew, MessageType::kRelease}) {
    answer.type = question;
    a->Send(host, answer);
    EXPECT_EQ(net.sent.back().bytes.size(), kQuestionSize);
  }
  answer.type = MessageType::kMoved;
  answer.container = std::string(200, 'c');
  answer.host = std::string(200, 'h');
  a->Send(host, answer);
  EXPECT_LE(net.sent.back().bytes.size(), kQuestionSize);
}

TEST_F(ChannelTest, AForgedOrDamagedDatagramGetsSilence) {
  const auto a = Open("10.0.0.2:5", {KeyOf(2)}, "router");
  const auto b = Open("10.0.0.1:7070", {KeyOf(1)}, "host");
  a->Send(host, Ask(1));
  net.Deliver();
  EXPECT_EQ(b->stats().bad_mac, 1u);
  const auto c = Open("10.0.0.3:5", {KeyOf(1)}, "router2");
  c->Send(host, Ask(1));
  FakeDatagrams::Datagram datagram = net.sent.front();
  net.sent.clear();
  for (size_t i = 0; i < datagram.bytes.size(); i += 7) {
    FakeDatagrams::Datagram damaged = datagram;
    damaged.bytes[i] = static_cast<char>(damaged.bytes[i] ^ 1);
    net.Give(damaged);
  }
  net.Give({datagram.from, datagram.to, ""});
  net.Give({datagram.from, datagram.to, datagram.bytes.substr(0, 30)});
  EXPECT_TRUE(got.empty());
  EXPECT_TRUE(net.sent.empty());
}

TEST_F(ChannelTest, ADatagramIsTakenOnceAlsoOutOfOrder) {
  const auto a = Open("10.0.0.2:5", {KeyOf(1)}, "router");
  const auto b = Open("10.0.0.1:7070", {KeyOf(1)}, "host");
  for (uint64_t i = 1; i <= 300; ++i) a->Send(host, Ask(i));
  const std::deque<FakeDatagrams::Datagram> kept = net.sent;
  net.sent.clear();
  for (auto it = kept.rbegin(); it != kept.rend(); ++it) net.Give(*it);
  EXPECT_EQ(got.size(), 256u) << "the newest and the window before it";
  for (const auto& datagram : kept) net.Give(datagram);
  EXPECT_EQ(got.size(), 256u);
  EXPECT_EQ(b->stats().replayed, 344u);
}

TEST_F(ChannelTest, AnOlderBootIsRefusedOnceANewerOneWasSeen) {
  const auto b = Open("10.0.0.1:7070", {KeyOf(1)}, "host");
  auto old = Open("10.0.0.2:5", {KeyOf(1)}, "router", 100);
  old->Send(host, Ask(1));
  old->Send(host, Ask(2));
  const FakeDatagrams::Datagram kept = net.sent.back();
  net.sent.pop_back();
  net.Deliver();
  old.reset();
  const auto fresh = Open("10.0.0.2:5", {KeyOf(1)}, "router", 101);
  fresh->Send(host, Ask(3));
  net.Deliver();
  net.Give(kept);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1].request_id, 3u);
  EXPECT_EQ(b->stats().replayed, 1u);
}

TEST_F(ChannelTest, BothKeysAreAcceptedAndTheFirstSigns) {
  const auto old_only = Open("10.0.0.2:5", {KeyOf(1)}, "a");
  const auto new_only = Open("10.0.0.3:5", {KeyOf(2)}, "b");
  const auto both = Open("10.0.0.1:7070", {KeyOf(2), KeyOf(1)}, "host");
  old_only->Send(host, Ask(1));
  new_only->Send(host, Ask(2));
  net.Deliver();
  EXPECT_EQ(got.size(), 2u);
  both->Send(*Address::Parse("10.0.0.3:5"), Ask(3));
  both->Send(*Address::Parse("10.0.0.2:5"), Ask(4));
  net.Deliver();
  EXPECT_EQ(got.size(), 3u);
  EXPECT_EQ(old_only->stats().bad_mac, 1u);
}

TEST_F(ChannelTest, AKeyIsChangedInThreeStepsAndNoDatagramIsLost) {
  const auto a = Open("10.0.0.1:7070", {KeyOf(1)}, "a");
  const auto b = Open("10.0.0.2:5", {KeyOf(1)}, "b");
  uint64_t sent = 0;
  const auto exchange = [&] {
    a->Send(*Address::Parse("10.0.0.2:5"), Ask(++sent));
    b->Send(host, Ask(++sent));
    net.Deliver();
  };
  for (const auto& step :
       std::vector<std::vector<ClusterKey>>{{KeyOf(1), KeyOf(2)}, {KeyOf(2), KeyOf(1)}, {KeyOf(2)}}) {
    a->SetKeys(step);
    exchange();
    b->SetKeys(step);
    exchange();
  }
  EXPECT_EQ(got.size(), sent);
  EXPECT_EQ(a->stats().bad_mac + b->stats().bad_mac, 0u);
  EXPECT_EQ(a->stats().second_key, 1u);  // b's, before its second step
  EXPECT_EQ(b->stats().second_key, 1u);
  Open("10.0.0.3:5", {KeyOf(1)}, "c")->Send(host, Ask(99));
  net.Deliver();
  EXPECT_EQ(a->stats().bad_mac, 1u);
}

TEST_F(ChannelTest, KeysThatAreSetDoNotOpenAChannelThatHadNone) {
  const auto a = Open("127.0.0.1:5", {}, "a");
  a->SetKeys({KeyOf(1)});
  a->Send(host, Ask(1));
  EXPECT_EQ(a->stats().refused_address, 1u);
  const auto b = Open("127.0.0.2:5", {}, "b");
  b->Send(*Address::Parse("127.0.0.1:5"), Ask(2));
  net.Deliver();
  EXPECT_EQ(got.size(), 1u);
}

TEST_F(ChannelTest, WithoutKeysOnlyLoopbackIsSpokenTo) {
  const auto a = Open("127.0.0.1:5", {}, "router");
  const auto b = Open("127.0.0.1:7070", {}, "host");
  a->Send(host, Ask(1));
  EXPECT_TRUE(net.sent.empty());
  EXPECT_EQ(a->stats().refused_address, 1u);
  a->Send(local, Ask(2));
  FakeDatagrams::Datagram foreign = net.sent.front();
  foreign.from = *Address::Parse("10.0.0.2:5");
  net.Give(foreign);
  EXPECT_EQ(b->stats().refused_address, 1u);
  net.Deliver();
  EXPECT_EQ(got.size(), 1u);
}

TEST_F(ChannelTest, TheTableOfSendersIsBounded) {
  const auto b = Open("127.0.0.1:7070", {}, "host");
  FakeDatagrams::Datagram first;
  for (size_t i = 0; i <= Channel::kMaxSenders; ++i) {
    const auto a = Open("127.0.0.1:5", {}, ("router" + std::to_string(i)).c_str());
    a->Send(local, Ask(i));
    if (i == 1) first = net.sent.front();
    net.Deliver();
  }
  EXPECT_EQ(got.size(), Channel::kMaxSenders + 1);
  net.Give(first);
  EXPECT_EQ(b->stats().replayed, 1u) << "only the longest unused one was forgotten";
}

TEST_F(ChannelTest, AQuestionThatIsSentToAnotherHostIsNotHeard) {
  const auto router = Open("10.0.0.2:5", {KeyOf(1)}, "router");
  const auto h1 = Open("10.0.0.1:7070", {KeyOf(1)}, "h1");
  const auto h2 = Open("10.0.0.3:7070", {KeyOf(1)}, "h2");
  const auto other_port = Open("10.0.0.1:7071", {KeyOf(1)}, "h3");
  for (const MessageType type : {MessageType::kEcho, MessageType::kAcquire, MessageType::kPrepare,
                                 MessageType::kRenew, MessageType::kRelease, MessageType::kPeerProbe}) {
    Message question = Ask(1);
    question.type = type;
    router->Send(host, question);
    ASSERT_EQ(net.sent.size(), 1u);
    FakeDatagrams::Datagram recorded = net.sent.front();
    net.sent.clear();
    for (const char* to : {"10.0.0.3:7070", "10.0.0.1:7071"}) {
      recorded.to = *Address::Parse(to);
      net.Give(recorded);
    }
    EXPECT_TRUE(got.empty());
    recorded.to = host;
    net.Give(recorded);
    EXPECT_EQ(got.size(), 1u);
    got.clear();
  }
  EXPECT_EQ(h2->stats().bad_mac, 6u);
  EXPECT_EQ(other_port->stats().bad_mac, 6u);
}

TEST_F(ChannelTest, AnAnswerIsHeardBehindAddressTranslation) {
  const auto router = Open("10.0.0.2:5", {KeyOf(1)}, "router");
  const auto h1 = Open("10.0.0.1:7070", {KeyOf(1)}, "h1");
  Message answer = Ask(1);
  answer.type = MessageType::kWait;
  h1->Send(*Address::Parse("192.0.2.1:999"), answer);
  FakeDatagrams::Datagram translated = net.sent.front();
  translated.to = *Address::Parse("10.0.0.2:5");
  net.Give(translated);
  EXPECT_EQ(got.size(), 1u);
}

}  // namespace
}  // namespace fastcontainer
