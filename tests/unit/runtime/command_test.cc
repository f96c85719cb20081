#include "lib/runtime/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace fastcontainer {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::StartsWith;

StartRequest Request() {
  StartRequest request;
  request.instance = "site-1.0.7";
  request.container = "site-1";
  request.address = *Address::Parse("10.0.0.1:8080");
  request.spec.command = {"server", "-l", "$ADDRESS:$PORT"};
  return request;
}

TEST(Command, NamesAreSubstitutedWithAndWithoutBraces) {
  const StartRequest request = Request();
  EXPECT_EQ(Substitute("$ADDRESS:$PORT", request), "10.0.0.1:8080");
  EXPECT_EQ(Substitute("http://${ADDRESS}:${PORT}/", request), "http://10.0.0.1:8080/");
  EXPECT_EQ(Substitute("$CONTAINER", request), "site-1");
  EXPECT_EQ(Substitute("a${PORT}b$PORT-c", request), "a8080b8080-c");
}

TEST(Command, ASixthVersionAddressHasNoBrackets) {
  StartRequest request = Request();
  request.address = *Address::Parse("[::1]:80");
  EXPECT_EQ(Substitute("[$ADDRESS]:$PORT", request), "[::1]:80");
}

TEST(Command, OtherDollarsAreLeftAlone) {
  const StartRequest request = Request();
  for (const char* text : {"$HOME", "${HOME}", "$PORTS", "$PORT_1", "${PORT", "${PORT-80}", "$", "a$", "$1",
                           "$(date)", "${}", "$port"})
    EXPECT_EQ(Substitute(text, request), text);
}

TEST(Command, TwoDollarsAreOne) {
  const StartRequest request = Request();
  EXPECT_EQ(Substitute("$$PORT $$$PORT $$$$", request), "$PORT $8080 $$");
}

TEST(Command, EveryArgumentIsSubstituted) {
  EXPECT_THAT(CommandArguments(Request()), ElementsAre("server", "-l", "10.0.0.1:8080"));
}

TEST(Command, TheSpecsEnvironmentIsKeptButForOurOwnNames) {
  StartRequest request = Request();
  request.spec.environment = {
      {"A", "1"}, {"PATH", "/opt/bin"}, {"PORT", "9"}, {"FASTCONTAINER_INSTANCE", "x"}};
  const std::vector<std::string> entries = CommandEnvironment(request);
  EXPECT_THAT(entries, Contains("A=1"));
  EXPECT_THAT(entries, Contains("PATH=/opt/bin"));
  EXPECT_THAT(entries, Contains("PORT=8080"));
  EXPECT_THAT(entries, Not(Contains("PORT=9")));
  EXPECT_THAT(entries, Contains("FASTCONTAINER_INSTANCE=site-1.0.7"));
}

TEST(Command, TheDispatchersOwnEnvironmentIsNotHandedOn) {
  setenv("DISPATCHER_SECRET", "key", 1);
  EXPECT_THAT(CommandEnvironment(Request()), Not(Contains(StartsWith("DISPATCHER_SECRET"))));
  unsetenv("DISPATCHER_SECRET");
}

TEST(Command, AProgramWithoutASlashIsSearchedForInThePath) {
  EXPECT_THAT(ProgramPaths("php", {"PATH=/a:/b:"}), ElementsAre("/a/php", "/b/php", "./php"));
  EXPECT_THAT(ProgramPaths("bin/php", {"PATH=/a"}), ElementsAre("bin/php"));
  EXPECT_THAT(ProgramPaths("php", {}), Contains("/usr/bin/php"));
}

TEST(Command, ARequestThatCannotBeRunIsInvalid) {
  EXPECT_TRUE(CheckStartRequest(Request()).ok());
  StartRequest request = Request();
  request.spec.environment = {{"A=B", "1"}};
  EXPECT_EQ(CheckStartRequest(request).code(), absl::StatusCode::kInvalidArgument);
  request = Request();
  request.spec.command[1].push_back('\0');
  EXPECT_EQ(CheckStartRequest(request).code(), absl::StatusCode::kInvalidArgument);
  request = Request();
  request.spec.ready_http = "health";
  EXPECT_EQ(CheckStartRequest(request).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fastcontainer
