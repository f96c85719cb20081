#include "examples/proxy/access_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace proxy {
namespace {

TEST(AccessLog, LineIsOneJsonObjectWhateverTheClientSent) {
  const std::string path = testing::TempDir() + "access_log_test." + std::to_string(getpid());
  {
    AccessLog log;
    std::string error;
    ASSERT_TRUE(log.Open(path, &error)) << error;
    LogEntry entry;
    entry.method = "GET";
    entry.target = "/\"\\\xff\x01";
    entry.status = 200;
    entry.total = 1234567;
    log.Write(entry);
  }
  std::ifstream file(path);
  std::string line;
  ASSERT_TRUE(std::getline(file, line));
  const auto parsed = nlohmann::json::parse(line, nullptr, false);
  ASSERT_TRUE(parsed.is_object()) << line;
  EXPECT_EQ(parsed["status"], 200);
  EXPECT_EQ(parsed["total_us"], 1234);
  EXPECT_EQ(parsed["target"], "/\"\\\u00ff\u0001");
  EXPECT_FALSE(parsed.contains("error"));
  std::remove(path.c_str());
}

TEST(AccessLog, OffIsOff) {
  AccessLog log;
  std::string error;
  ASSERT_TRUE(log.Open("off", &error));
  EXPECT_FALSE(log.on());
  log.Write({});
  log.Flush();
}

}  // namespace
}  // namespace proxy
