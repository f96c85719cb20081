#include "lib/dispatcher/check.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "lib/base/epoll_reactor.h"

namespace fastcontainer {
namespace {

class CheckTest : public testing::Test {
 protected:
  CheckTest() : reactor(*EpollReactor::Create()), check(std::make_unique<ListenCheck>(*reactor)) {
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage{};
    const socklen_t length = Address::Parse("127.0.0.1:0")->ToSockaddr(&storage);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
    socklen_t size = sizeof(storage);
    EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size), 0);
    address = Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage));
  }
  ~CheckTest() override { close(fd); }
  std::optional<bool> Ask(const Address& at) {
    std::optional<bool> answer;
    check->Start(at, reactor->Now() + 100 * kMillisecond, [&](bool listens) { answer = listens; });
    EXPECT_FALSE(answer.has_value()) << "never inside the call";
    const Nanos end = reactor->Now() + 20 * kSecond;
    while (!answer.has_value() && reactor->Now() < end) {
      reactor->Wait(reactor->Now() + kSecond);
      reactor->Process(0);
    }
    return answer;
  }

  std::unique_ptr<EpollReactor> reactor;
  std::unique_ptr<ListenCheck> check;
  int fd;
  Address address;
};

TEST_F(CheckTest, ARefusedConnectionIsNoAndAnAcceptedOneIsYes) {
  EXPECT_EQ(Ask(address), false);
  ASSERT_EQ(listen(fd, 4), 0);
  EXPECT_EQ(Ask(address), true);
}

TEST_F(CheckTest, SilenceIsNotARefusal) {
  // A backlog of one that nobody accepts from: further connections are not answered.
  ASSERT_EQ(listen(fd, 0), 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(address), true);
  EXPECT_EQ(Ask(*Address::Parse("[::ffff:1]:1")), true) << "no route says nothing about the container";
}

TEST_F(CheckTest, WhatIsDestroyedNeverCallsBack) {
  int called = 0;
  check->Start(address, reactor->Now() + kSecond, [&](bool) { ++called; });
  check.reset();
  reactor->Process(0);
  EXPECT_EQ(called, 0);
}

TEST_F(CheckTest, APortIsFreeUnlessSomethingListens) {
  ASSERT_EQ(listen(fd, 4), 0);
  EXPECT_FALSE(PortIsFree(address));
  EXPECT_TRUE(PortIsFree(Address::Parse("127.0.0.77")->WithPort(address.port)));
}

}  // namespace
}  // namespace fastcontainer
