#include "lib/base/epoll_reactor.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

namespace fastcontainer {
namespace {

class EpollReactorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    reactor_ = *EpollReactor::Create();
    ASSERT_EQ(pipe(pipe_), 0);
  }
  void TearDown() override {
    reactor_->Unwatch(pipe_[0]);
    for (const int fd : pipe_) close(fd);
  }
  bool Readable() const {
    pollfd p{reactor_->fd(), POLLIN, 0};
    return poll(&p, 1, 0) == 1;
  }
  void Fill(const std::string& bytes) {
    ASSERT_EQ(write(pipe_[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void ReadOne() {
    char byte = 0;
    ASSERT_EQ(read(pipe_[0], &byte, 1), 1);
  }

  std::unique_ptr<EpollReactor> reactor_;
  int pipe_[2] = {-1, -1};
};

TEST_F(EpollReactorTest, TimersRunInTheOrderOfTheirDeadlinesAndNeverEarly) {
  std::vector<int> order;
  const Nanos start = reactor_->Now();
  Nanos fired = 0;
  reactor_->After(2 * kMillisecond, [&] {
    order.push_back(2);
    fired = reactor_->Now();
  });
  reactor_->After(1 * kMillisecond, [&] { order.push_back(1); });
  while (order.size() < 2) {
    reactor_->Wait(kForever);
    reactor_->Process(0);
  }
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_GE(fired - start, 2 * kMillisecond);
}

TEST_F(EpollReactorTest, ACancelledTimerNeverRuns) {
  bool ran = false;
  const Reactor::TimerId id = reactor_->At(reactor_->Now(), [&] { ran = true; });
  EXPECT_TRUE(reactor_->CancelTimer(id));
  EXPECT_FALSE(reactor_->CancelTimer(id));
  reactor_->Process(0);
  EXPECT_FALSE(ran);
  EXPECT_EQ(reactor_->NextDeadline(), kForever);
}

TEST_F(EpollReactorTest, DataIsReadBeforeATimeOutIsBelieved) {
  std::string order;
  ASSERT_TRUE(reactor_
                  ->Watch(pipe_[0], EPOLLIN,
                          [&](uint32_t) {
                            order += 'd';
                            ReadOne();
                          })
                  .ok());
  reactor_->At(reactor_->Now(), [&] { order += 't'; });
  Fill("x");
  reactor_->Process(0);
  EXPECT_EQ(order, "dt");
}

TEST_F(EpollReactorTest, AStoppedRoundLeavesANewEdge) {
  const int outer = epoll_create1(0);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  ASSERT_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, reactor_->fd(), &event), 0);
  int ran = 0;
  for (int i = 0; i < 5; ++i) reactor_->Defer([&] { ++ran; });
  epoll_event got{};
  for (int i = 1; i <= 5; ++i) {
    ASSERT_EQ(epoll_wait(outer, &got, 1, 1000), 1) << "edge " << i;
    EXPECT_EQ(reactor_->Process(1), 1);
    EXPECT_EQ(ran, i);
  }
  close(outer);
}

TEST_F(EpollReactorTest, DeferredCallbacksNeverRunInsideTheCall) {
  bool ran = false;
  reactor_->Defer([&] { ran = true; });
  EXPECT_FALSE(ran);
  EXPECT_TRUE(Readable());
  reactor_->Process(0);
  EXPECT_TRUE(ran);
  EXPECT_FALSE(Readable());
}

TEST_F(EpollReactorTest, ADescriptorMayUnwatchItselfAndAnother) {
  int other[2];
  ASSERT_EQ(pipe(other), 0);
  int ran = 0;
  const auto callback = [&](uint32_t) {
    ++ran;
    reactor_->Unwatch(pipe_[0]);
    reactor_->Unwatch(other[0]);
  };
  ASSERT_TRUE(reactor_->Watch(pipe_[0], EPOLLIN, callback).ok());
  ASSERT_TRUE(reactor_->Watch(other[0], EPOLLIN, callback).ok());
  Fill("x");
  ASSERT_EQ(write(other[1], "x", 1), 1);
  reactor_->Process(0);
  EXPECT_EQ(ran, 1);
  for (const int fd : other) close(fd);
}

TEST_F(EpollReactorTest, AReusedDescriptorNumberGetsNothingOfItsPredecessor) {
  int first = 0;
  int second = 0;
  int other[2];
  ASSERT_EQ(pipe(other), 0);
  ASSERT_TRUE(reactor_->Watch(other[0], EPOLLIN, [&](uint32_t) { ++first; }).ok());
  ASSERT_EQ(write(other[1], "x", 1), 1);
  reactor_->Unwatch(other[0]);
  ASSERT_TRUE(reactor_
                  ->Watch(other[0], EPOLLIN,
                          [&](uint32_t) {
                            ++second;
                            reactor_->Unwatch(other[0]);
                          })
                  .ok());
  reactor_->Process(0);
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
  for (const int fd : other) close(fd);
}

TEST_F(EpollReactorTest, PostingFromAnotherThreadWakesTheLoop) {
  std::vector<int> got;
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i) reactor_->Post([&got, i] { got.push_back(i); });
  });
  while (got.size() < 1000) {
    reactor_->Wait(kForever);
    reactor_->Process(0);
  }
  poster.join();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(got[static_cast<size_t>(i)], i);
}

TEST_F(EpollReactorTest, APeerThatKeepsSendingDoesNotHoldTheLoop) {
  int served = 0;
  ASSERT_TRUE(reactor_->Watch(pipe_[0], EPOLLIN, [&](uint32_t) { ++served; }).ok());  // never reads
  Fill("x");
  reactor_->Process(0);
  EXPECT_GT(served, 0);
  EXPECT_TRUE(Readable());
}

TEST_F(EpollReactorTest, AFreedTimerDoesNotWakeForEver) {
  const Reactor::TimerId id = reactor_->After(kMillisecond, [] {});
  reactor_->CancelTimer(id);
  pollfd p{reactor_->fd(), POLLIN, 0};
  if (poll(&p, 1, 1000) == 1) reactor_->Process(0);
  EXPECT_FALSE(Readable());
}

}  // namespace
}  // namespace fastcontainer
