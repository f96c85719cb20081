#include "lib/dispatch/udp.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/epoll_reactor.h"

namespace fastcontainer {
namespace {

class UdpTest : public testing::Test {
 protected:
  UdpTest() : reactor(*EpollReactor::Create()) {}
  std::unique_ptr<UdpSocket> Open(const char* address) {
    absl::StatusOr<std::unique_ptr<UdpSocket>> made = UdpSocket::Create(*reactor, *Address::Parse(address));
    if (!made.ok()) {
      ADD_FAILURE() << made.status();
      return nullptr;
    }
    return *std::move(made);
  }
  template <typename Done>
  bool Until(Done done) {
    const Nanos end = reactor->Now() + 20 * kSecond;
    while (!done() && reactor->Now() < end) {
      reactor->Wait(reactor->Now() + kSecond);
      reactor->Process(0);
    }
    return done();
  }
  // An address on which nobody listens.
  Address Closed() { return Open("127.0.0.1:0")->local_address(); }

  std::unique_ptr<EpollReactor> reactor;
};

TEST_F(UdpTest, CarriesDatagramsBothWays) {
  for (const char* any : {"127.0.0.1:0", "[::1]:0"}) {
    const auto a = Open(any);
    const auto b = Open(any);
    std::string got;
    b->SetCallbacks(
        [&](const Address& from, std::string_view data) { b->Send(from, std::string(data) + "!"); }, nullptr);
    a->SetCallbacks([&](const Address&, std::string_view data) { got = data; }, nullptr);
    a->Send(b->local_address(), "ping");
    EXPECT_TRUE(Until([&] { return got == "ping!"; })) << any;
  }
}

TEST_F(UdpTest, AnAddressInUseIsAClearError) {
  const auto a = Open("127.0.0.1:0");
  const auto second = UdpSocket::Create(*reactor, a->local_address());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(second.status().message().find("address in use"), absl::string_view::npos);
  EXPECT_EQ(UdpSocket::Create(*reactor, *Address::Parse("192.0.2.1:0")).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(UdpTest, ARefusalIsToldWithTheDestinationItBelongsTo) {
  const Address closed = Closed();
  const auto a = Open("127.0.0.1:0");
  std::vector<std::pair<Address, int>> errors;
  a->SetCallbacks(nullptr, [&](const Address& to, int error) { errors.emplace_back(to, error); });
  a->Send(closed, "anybody?");
  EXPECT_TRUE(errors.empty()) << "never inside the call";
  ASSERT_TRUE(Until([&] { return !errors.empty(); }));
  EXPECT_EQ(errors[0].first, closed);
  EXPECT_EQ(errors[0].second, ECONNREFUSED);
}

TEST_F(UdpTest, ARefusalOfOneDestinationIsNotTakenForAnothers) {
  const Address closed = Closed();
  const auto a = Open("127.0.0.1:0");
  const auto b = Open("127.0.0.1:0");
  std::vector<Address> errors;
  int received = 0;
  a->SetCallbacks(nullptr, [&](const Address& to, int) { errors.push_back(to); });
  b->SetCallbacks([&](const Address&, std::string_view) { ++received; }, nullptr);
  for (int i = 0; i < 20; ++i) {
    a->Send(closed, "anybody?");
    a->Send(b->local_address(), "you");
  }
  EXPECT_TRUE(Until([&] { return received == 20 && !errors.empty(); })) << received;
  for (const Address& to : errors) EXPECT_EQ(to, closed);
}

TEST_F(UdpTest, AnswersFromTheAddressThatWasAsked) {
  const auto server = Open("0.0.0.0:0");
  const auto client = Open("127.0.0.1:0");
  server->SetCallbacks([&](const Address& from, std::string_view) { server->Send(from, "here"); }, nullptr);
  Address answered;
  client->SetCallbacks([&](const Address& from, std::string_view) { answered = from; }, nullptr);
  const Address asked = Address::Parse("127.0.0.9")->WithPort(server->local_address().port);
  client->Send(asked, "who?");
  EXPECT_TRUE(Until([&] { return static_cast<bool>(answered); }));
  EXPECT_EQ(answered, asked);
}

TEST_F(UdpTest, AFloodIsReadInBoundedRounds) {
  const auto a = Open("127.0.0.1:0");
  const auto b = Open("127.0.0.1:0");
  int received = 0;
  b->SetCallbacks([&](const Address&, std::string_view) { ++received; }, nullptr);
  for (int i = 0; i < 150; ++i) a->Send(b->local_address(), "x");
  reactor->Wait(reactor->Now() + kSecond);
  reactor->Process(1);
  EXPECT_LE(received, 64);
  EXPECT_TRUE(Until([&] { return received == 150; })) << received;
}

TEST_F(UdpTest, MayBeDestroyedInItsOwnCallback) {
  auto a = Open("127.0.0.1:0");
  const auto b = Open("127.0.0.1:0");
  bool gone = false;
  a->SetCallbacks(
      [&](const Address&, std::string_view) {
        a.reset();
        gone = true;
      },
      nullptr);
  for (int i = 0; i < 3; ++i) b->Send(a->local_address(), "x");
  EXPECT_TRUE(Until([&] { return gone; }));
}

TEST_F(UdpTest, AnotherFamilyIsAnErrorThatIsTold) {
  const auto a = Open("127.0.0.1:0");
  int error = 0;
  a->SetCallbacks(nullptr, [&](const Address&, int e) { error = e; });
  a->Send(*Address::Parse("[::1]:9"), "x");
  EXPECT_TRUE(Until([&] { return error == EAFNOSUPPORT; }));
}

}  // namespace
}  // namespace fastcontainer
