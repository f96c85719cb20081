#include "examples/proxy/upstream.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "examples/proxy/context.h"

namespace proxy {
namespace {

// Connections to a socket that listens on loopback, without a proxy around them.
class Connections : public ::testing::Test {
 protected:
  Connections() : context_(&loop_, config_) {
    uv_loop_init(&loop_);
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof address_;
    EXPECT_EQ(bind(listener_, Address(), length), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, Address(), &length), 0);
  }

  ~Connections() override {
    context_.pools.Clear();
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(context_.metrics.upstream_connections, 0u);
    EXPECT_EQ(context_.metrics.upstream_idle, 0u);
    EXPECT_EQ(uv_loop_close(&loop_), 0);
    close(listener_);
  }

  sockaddr* Address() { return reinterpret_cast<sockaddr*>(&address_); }

  // The container's end goes to *peer.
  Upstream* Connect(int* peer, uint64_t endpoint = 1) {
    auto* upstream = new Upstream(&context_, endpoint);
    EXPECT_EQ(upstream->Connect(Address()), 0);
    *peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    uv_run(&loop_, UV_RUN_NOWAIT);
    return upstream;
  }

  Config config_;
  uv_loop_t loop_;
  Context context_;
  sockaddr_in address_ = {};
  int listener_ = -1;
};

TEST_F(Connections, WhatWasUsedLastIsUsedNext) {
  int peers[2];
  Upstream* first = Connect(&peers[0]);
  Upstream* second = Connect(&peers[1]);
  context_.pools.Put(first, {});
  context_.pools.Put(second, {});
  EXPECT_EQ(context_.pools.Take(2, UINT64_MAX), nullptr);
  EXPECT_EQ(context_.pools.Take(1, UINT64_MAX), second);
  EXPECT_EQ(context_.pools.Take(1, UINT64_MAX), first);
  first->Discard();
  second->Discard();
  for (const int peer : peers) close(peer);
}

TEST_F(Connections, EndThatTheLoopHasNotSeenYetIsSeen) {
  int peer = -1;
  context_.pools.Put(Connect(&peer), {});
  close(peer);
  EXPECT_EQ(context_.pools.Take(1, UINT64_MAX), nullptr);
}

TEST_F(Connections, BytesThatNobodyAskedForMakeItUseless) {
  int peer = -1;
  context_.pools.Put(Connect(&peer), {});
  ASSERT_EQ(write(peer, "x", 1), 1);
  EXPECT_EQ(context_.pools.Take(1, UINT64_MAX), nullptr);
  close(peer);
}

TEST_F(Connections, RequestsAreCountedWhereTheContainerSaidHowMany) {
  int peer = -1;
  Upstream* upstream = Connect(&peer);
  context_.pools.Put(upstream, {std::nullopt, 2});
  ASSERT_EQ(context_.pools.Take(1, UINT64_MAX), upstream);
  context_.pools.Put(upstream, {});
  ASSERT_EQ(context_.pools.Take(1, UINT64_MAX), upstream);
  context_.pools.Put(upstream, {});
  EXPECT_EQ(context_.pools.Take(1, UINT64_MAX), nullptr);
  close(peer);
}

TEST_F(Connections, TimeoutThatIsAlmostOverAtOnceKeepsNothing) {
  int peer = -1;
  context_.pools.Put(Connect(&peer), {0, std::nullopt});
  EXPECT_EQ(context_.metrics.upstream_idle, 0u);
  close(peer);
}

TEST_F(Connections, OldestIdleOneMakesRoom) {
  int peers[2];
  Upstream* first = Connect(&peers[0], 1);
  Upstream* second = Connect(&peers[1], 2);
  context_.pools.Put(first, {});
  context_.pools.Put(second, {});
  context_.pools.MakeRoom();
  EXPECT_EQ(context_.metrics.upstream_idle, 2u) << "there is no limit";
  context_.max_upstreams = 2;
  context_.pools.MakeRoom();
  EXPECT_EQ(context_.pools.Take(1, UINT64_MAX), nullptr);
  EXPECT_EQ(context_.pools.Take(2, UINT64_MAX), second);
  second->Discard();
  for (const int peer : peers) close(peer);
}

}  // namespace
}  // namespace proxy
