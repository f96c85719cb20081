#include "fastcontainer/address.h"

#include <gtest/gtest.h>

namespace fastcontainer {
namespace {

TEST(Address, WhatItPrintsItReads) {
  for (const char* text : {"10.0.0.1", "10.0.0.1:80", "::1", "[::1]:443", "fe80::2", "127.0.0.1:65535"}) {
    const absl::StatusOr<Address> address = Address::Parse(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(Address, NamesTheTextItCannotRead) {
  for (const char* text : {"", "localhost", "10.0.0.1:", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0", "[::1]",
                           "::1]:80", "10.0.0.1:8x"}) {
    const absl::StatusOr<Address> address = Address::Parse(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_NE(std::string(address.status().message()).find(std::string("'") + text + "'"), std::string::npos);
  }
}

TEST(Address, SurvivesTheSocketForm) {
  for (const char* text : {"10.0.0.1:80", "[2001:db8::7]:443"}) {
    const Address address = *Address::Parse(text);
    sockaddr_storage storage;
    ASSERT_GT(address.ToSockaddr(&storage), 0u);
    EXPECT_EQ(Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage)), address);
  }
}

TEST(Address, KnowsLoopbackAndAny) {
  EXPECT_TRUE(Address::Parse("127.9.9.9")->IsLoopback());
  EXPECT_TRUE(Address::Parse("::1")->IsLoopback());
  EXPECT_FALSE(Address::Parse("10.0.0.1")->IsLoopback());
  EXPECT_TRUE(Address::Parse("0.0.0.0:9")->IsAny());
  EXPECT_TRUE(Address::Parse("::")->IsAny());
  EXPECT_FALSE(Address().IsAny());
  EXPECT_FALSE(static_cast<bool>(Address()));
}

}  // namespace
}  // namespace fastcontainer
