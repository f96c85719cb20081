#include "examples/proxy/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace proxy {
namespace {

sockaddr_storage Address(const char* text) {
  sockaddr_storage address = {};
  if (inet_pton(AF_INET, text, &reinterpret_cast<sockaddr_in&>(address).sin_addr) == 1) {
    address.ss_family = AF_INET;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text, &reinterpret_cast<sockaddr_in6&>(address).sin6_addr), 1) << text;
    address.ss_family = AF_INET6;
  }
  return address;
}

TEST(AddressSet, ContainsWhatItsPrefixesSay) {
  AddressSet set;
  EXPECT_FALSE(set.Contains(Address("127.0.0.1")));
  for (const char* text : {"10.1.0.0/16", "192.0.2.128/25", "198.51.100.7", "2001:db8::/33", "::1"}) {
    EXPECT_TRUE(set.Add(text)) << text;
  }
  for (const char* text : {"10.1.0.0", "10.1.255.255", "192.0.2.200", "198.51.100.7", "2001:db8:7fff::1",
                           "::1", "::ffff:10.1.2.3"}) {
    EXPECT_TRUE(set.Contains(Address(text))) << text;
  }
  for (const char* text : {"10.2.0.0", "192.0.2.127", "198.51.100.6", "2001:db8:8000::1", "::2",
                           "::ffff:10.2.2.3", "::10.1.2.3"}) {
    EXPECT_FALSE(set.Contains(Address(text))) << text;
  }
  EXPECT_FALSE(set.Contains(sockaddr_storage{}));
}

TEST(AddressSet, WholeFamilyIsAPrefix) {
  AddressSet v4;
  EXPECT_TRUE(v4.Add("0.0.0.0/0"));
  EXPECT_TRUE(v4.Contains(Address("203.0.113.9")));
  EXPECT_FALSE(v4.Contains(Address("2001:db8::1")));
  AddressSet all;
  EXPECT_TRUE(all.Add("::/0"));
  EXPECT_TRUE(all.Contains(Address("203.0.113.9")));
}

TEST(AddressSet, WhatIsNoNetworkIsRefused) {
  AddressSet set;
  for (const char* text :
       {"", "localhost", "10.1.0.0/", "10.1.0.0/33", "10.1.0.0/-1", "10.1.0.0/8x", "10.1.0.1/16",
        "2001:db8::/129", "2001:db8::1/64", "10.1/16", "[::1]", "10.0.0.0/8 "}) {
    EXPECT_FALSE(set.Add(text)) << text;
  }
  EXPECT_TRUE(set.empty());
}

TEST(FormatHost, HasOneFormForEachClient) {
  EXPECT_EQ(FormatHost(Address("192.0.2.1")), "192.0.2.1");
  EXPECT_EQ(FormatHost(Address("::ffff:192.0.2.1")), "192.0.2.1");
  EXPECT_EQ(FormatHost(Address("2001:DB8:0::1")), "2001:db8::1");
  EXPECT_EQ(FormatHost(sockaddr_storage{}), "unknown");
}

}  // namespace
}  // namespace proxy
