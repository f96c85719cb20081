#include "lib/cmdb/packed_value.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace fastcontainer {
namespace {

constexpr Strings kAll[] = {Strings::kShared, Strings::kInline, Strings::kEach};
constexpr std::string_view kPlacement =
    R"({"v":1,"replicas":[{"i":0,"epoch":7,"host":"h12","op":"8f00aa11223344556677889900aabbcc"}],)"
    R"("spec_revision":"118","by":"proxy-42","reason":"host-down","at_ms":1750000000000,"state":"placed"})";

std::string RoundTrip(std::string_view value, std::string_view name, Strings strings) {
  StringTable table;
  const std::string packed = PackValue(value, name, strings, table);
  const std::string unpacked = UnpackValue(packed, name, table);
  ReleaseValue(packed, table);
  EXPECT_EQ(table.size(), 0u) << "what nobody holds is given back";
  return unpacked;
}

TEST(PackedValue, GivesBackAnyBytesAsTheyWere) {
  const std::string holes = "with \x01 and \x05 inside: 17";
  const std::vector<std::string> values = {"",
                                           "{}",
                                           "\"",
                                           "\"\\",
                                           "\"a\\\"b\":\"c\\\\\"",
                                           "0",
                                           "007",
                                           "10",
                                           "-1.50e10",
                                           "99999999999999999999999999",
                                           "18446744073709551616",
                                           R"({"container":"site-42"})",
                                           R"({"container":"0042"})",
                                           R"({"container":""})",
                                           R"({"op":"00000000000000000000000000000000"})",
                                           R"({"op":"8f00aa11223344556677889900aabbccd"})",
                                           "12345678901234567890123456789012",
                                           "site-42site-42",
                                           holes,
                                           std::string("\0\0", 2),
                                           std::string(kPlacement)};
  for (const std::string& value : values)
    for (const Strings strings : kAll)
      for (const std::string_view name : {"", "site-42", "4", "container"})
        EXPECT_EQ(RoundTrip(value, name, strings), value) << name;
}

TEST(PackedValue, GivesBackRandomTexts) {
  std::mt19937 random(3);
  constexpr std::string_view kLetters = "\"\"\"\\:{,019abcdefs\x03\x04";
  for (int i = 0; i < 5'000; ++i) {
    std::string value;
    for (size_t n = random() % 60; n > 0; --n)
      value += kLetters[random() % (kLetters.size() - (i % 10 > 0 ? 2 : 0))];
    EXPECT_EQ(RoundTrip(value, "abc", kAll[random() % 3]), value);
  }
}

TEST(PackedValue, APlacementTakesFewBytesAndSharesItsFormWithTheOthers) {
  StringTable table;
  const std::string one = PackValue(kPlacement, "site-42", Strings::kEach, table);
  EXPECT_LE(one.size(), 36u);
  std::string other(kPlacement);
  other.replace(other.find("h12"), 3, "h13");
  const size_t before = table.size();
  const std::string two = PackValue(other, "site-43", Strings::kEach, table);
  EXPECT_EQ(table.size(), before + 1) << "the host's name";
  ReleaseValue(one, table);
  EXPECT_EQ(UnpackValue(two, "site-43", table), other);
}

TEST(PackedValue, SpecsThatDifferInNumbersAndTheirOwnNameAreHeldOnce) {
  StringTable table;
  for (int i = 100; i < 200; ++i) {
    const std::string name = "site-" + std::to_string(i);
    const std::string spec =
        R"({"v":1,"command":["serve","/srv/)" + name + R"("],"port":)" + std::to_string(i) + "}";
    const std::string packed = PackValue(spec, name, Strings::kShared, table);
    EXPECT_LE(packed.size(), 5u);
    EXPECT_EQ(UnpackValue(packed, name, table), spec);
  }
  EXPECT_EQ(table.size(), 1u);
}

}  // namespace
}  // namespace fastcontainer
