#include "lib/router/short_name.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace fastcontainer {
namespace {

TEST(ShortName, KeepsItsTextWhateverItsLength) {
  for (size_t length = 0; length <= 200; ++length) {
    const std::string text(length, 'a');
    EXPECT_EQ(ShortName(text).view(), text);
  }
}

TEST(ShortName, AMoveTakesTheTextAlong) {
  for (const size_t length : {5u, 55u, 56u, 200u}) {
    const std::string text(length, 'x');
    ShortName from(text);
    ShortName to(std::move(from));
    EXPECT_EQ(to.view(), text);
    ShortName assigned(std::string(120, 'y'));
    assigned = std::move(to);
    EXPECT_EQ(assigned.view(), text);
  }
}

}  // namespace
}  // namespace fastcontainer
