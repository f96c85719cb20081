#include "lib/base/name_lookup.h"

#include <gtest/gtest.h>

#include <optional>

#include "lib/base/epoll_reactor.h"

namespace fastcontainer {
namespace {

using Found = absl::StatusOr<std::vector<Address>>;

class NameLookupTest : public ::testing::Test {
 protected:
  Found Await(const std::string& host) {
    std::optional<Found> found;
    const NameLookup lookup(host, *reactor_, [&](Found addresses) { found = std::move(addresses); });
    EXPECT_FALSE(found.has_value()) << "inside the call";
    while (!found.has_value()) {
      reactor_->Wait(kForever);
      reactor_->Process(0);
    }
    return *std::move(found);
  }

  const std::unique_ptr<EpollReactor> reactor_ = EpollReactor::Create().value();
};

TEST_F(NameLookupTest, NumericAddressesAreParsed) {
  EXPECT_EQ(Await("192.0.2.1").value(), std::vector<Address>{Address::Parse("192.0.2.1").value()});
  EXPECT_EQ(Await("2001:db8::1").value(), std::vector<Address>{Address::Parse("2001:db8::1").value()});
}

TEST_F(NameLookupTest, NamesAreLookedUp) {
  const Found found = Await("localhost");
  ASSERT_TRUE(found.ok()) << found.status();
  for (const Address& address : *found) EXPECT_TRUE(address.IsLoopback()) << address.ToString();
}

// RFC 6761, section 6.4: such a name never exists.
TEST_F(NameLookupTest, UnknownNamesAreErrorsThatNameThem) {
  const Found found = Await("nowhere.invalid");
  EXPECT_TRUE(absl::IsUnavailable(found.status())) << found.status();
  EXPECT_NE(found.status().message().find("nowhere.invalid"), std::string::npos) << found.status();
}

TEST_F(NameLookupTest, NobodyIsCalledAfterTheEnd) {
  bool called = false;
  for (const char* host : {"192.0.2.1", "localhost"})
    NameLookup(host, *reactor_, [&](const Found&) { called = true; });
  EXPECT_TRUE(Await("localhost").ok());
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace fastcontainer
