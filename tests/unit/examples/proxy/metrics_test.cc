#include "examples/proxy/metrics.h"

#include <gtest/gtest.h>

#include <string>

namespace proxy {
namespace {

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Metrics, StatusesThatContainersInventAreCountedTogether) {
  Metrics metrics;
  metrics.CountRequest(200, 1, 0, 0);
  for (int status = 100; status < 1000; ++status) metrics.CountRequest(status, 1, 0, 0);
  metrics.CountRequest(200, 1, 0, 0);
  const std::string text = metrics.Format(nullptr);
  EXPECT_EQ(Count(text, "fc_proxy_requests_total{"), 65u);
  EXPECT_EQ(Count(text, "fc_proxy_requests_total{status=\"200\"} 3\n"), 1u);
  EXPECT_EQ(Count(text, "fc_proxy_requests_total{status=\"other\"} 836\n"), 1u);
}

TEST(Metrics, TunnelsAreNoDurations) {
  Metrics metrics;
  metrics.CountRequest(101, 3600000000000, 5, 7);
  metrics.CountRequest(200, 1, 0, 0);
  const std::string text = metrics.Format(nullptr);
  EXPECT_EQ(Count(text, "fc_proxy_request_duration_seconds_count 1\n"), 1u);
  EXPECT_EQ(Count(text, "fc_proxy_response_body_bytes_total 7\n"), 1u);
}

}  // namespace
}  // namespace proxy
