#include "lib/runtime/ready.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/epoll_reactor.h"

namespace fastcontainer {
namespace {

// A listener on the test's own loop that gives each connection the next of `answers`, the last one for ever;
// "" closes without an answer.
class Ready : public ::testing::Test {
 protected:
  void SetUp() override {
    reactor_ = *EpollReactor::Create();
    listener_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    address_ = *Address::Parse("127.0.0.1:0");
    sockaddr_storage storage{};
    socklen_t size = address_.ToSockaddr(&storage);
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&storage), &size);
    address_ = Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage));
  }
  void TearDown() override { reactor_->Unwatch(listener_.get()); }

  void Serve(std::vector<std::string> answers) {
    answers_ = std::move(answers);
    ASSERT_EQ(listen(listener_.get(), 8), 0);
    ASSERT_TRUE(reactor_->Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Answer(); }).ok());
  }
  void Answer() {
    const UniqueFd fd(accept(listener_.get(), nullptr, nullptr));
    if (!fd.valid()) return;
    const std::string& answer = answers_[std::min(connections_, answers_.size() - 1)];
    ++connections_;
    char request[512];
    // The probe sends on the same loop: what it asked is there as soon as it runs again, or never.
    fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 3 && !answer.empty(); ++i) reactor_->Process(0);
    const ssize_t got = recv(fd.get(), request, sizeof(request), 0);
    if (got > 0) requests_ += std::string(request, static_cast<size_t>(got));
    send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  }
  bool RunUntil(const std::function<bool()>& done) {
    const Nanos deadline = reactor_->Now() + 30 * kSecond;
    while (!done() && reactor_->Now() < deadline) {
      reactor_->Process(0);
      reactor_->Wait(reactor_->Now() + 10 * kMillisecond);
    }
    return done();
  }

  std::unique_ptr<EpollReactor> reactor_;
  UniqueFd listener_;
  Address address_;
  std::vector<std::string> answers_;
  size_t connections_ = 0;
  std::string requests_;
};

TEST_F(Ready, AnAddressWithAListenerIsInUse) {
  listener_.Close();
  EXPECT_TRUE(CheckAddressFree(address_).ok());
  SetUp();
  Serve({""});
  EXPECT_EQ(CheckAddressFree(address_).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CheckAddressFree(*Address::Parse("192.0.2.1:80")).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Ready, ARefusedConnectionIsTriedAgainUntilSomebodyListens) {
  bool ready = false;
  ReadinessProbe probe(*reactor_, address_, "", [&] { ready = true; });
  for (int i = 0; i < 20; ++i) {
    reactor_->Process(0);
    reactor_->Wait(reactor_->Now() + kMillisecond);
  }
  EXPECT_FALSE(ready);
  Serve({""});
  EXPECT_TRUE(RunUntil([&] { return ready; }));
}

TEST_F(Ready, OnlyAnHttpAnswerBelow500IsReadiness) {
  bool ready = false;
  ReadinessProbe probe(*reactor_, address_, "/up", [&] { ready = true; });
  Serve({"", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 500 No\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.",
         "HTTP/1.1 099 X", "HTTP/1.0 404 Not Found\r\n\r\n", ""});
  ASSERT_TRUE(RunUntil([&] { return ready; }));
  EXPECT_EQ(connections_, 7u);
  EXPECT_NE(requests_.find("GET /up HTTP/1.1\r\nHost: " + address_.ToString() + "\r\n"), std::string::npos);
}

TEST_F(Ready, TheCallbackMayDestroyTheProbe) {
  Serve({""});
  std::unique_ptr<ReadinessProbe> probe;
  bool ready = false;
  probe = std::make_unique<ReadinessProbe>(*reactor_, address_, "", [&] {
    probe.reset();
    ready = true;
  });
  EXPECT_TRUE(RunUntil([&] { return ready; }));
}

TEST_F(Ready, ADestroyedProbeIsSilent) {
  Serve({"HTTP/1.1 200 OK\r\n\r\n"});
  bool ready = false;
  auto probe = std::make_unique<ReadinessProbe>(*reactor_, address_, "/", [&] { ready = true; });
  ASSERT_TRUE(RunUntil([&] { return connections_ > 0 || ready; }));
  probe.reset();
  const bool before = ready;
  for (int i = 0; i < 10; ++i) reactor_->Process(0);
  EXPECT_EQ(ready, before);
}

}  // namespace
}  // namespace fastcontainer
