#include "lib/router/short_name.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"

namespace fastcontainer {
namespace {

TEST(ShortName, IsFoundByItsTextWhateverItsLength) {
  absl::flat_hash_map<ShortName, size_t, ShortNameHash, ShortNameEq> map;
  for (size_t length = 0; length <= 200; ++length) map.emplace(ShortName(std::string(length, 'a')), length);
  for (size_t length = 0; length <= 200; ++length) {
    const std::string text(length, 'a');
    const auto found = map.find(std::string_view(text));
    ASSERT_NE(found, map.end()) << length;
    EXPECT_EQ(found->second, length);
    EXPECT_EQ(found->first.view(), text);
  }
  EXPECT_EQ(map.find(std::string_view("b")), map.end());
}

TEST(ShortName, ACopyIsItsOwn) {
  const std::string text(100, 'x');
  const auto original = std::make_unique<ShortName>(text);
  const ShortName copy(*original);
  EXPECT_EQ(copy.view(), text);
  EXPECT_NE(copy.view().data(), original->view().data());
}

}  // namespace
}  // namespace fastcontainer
