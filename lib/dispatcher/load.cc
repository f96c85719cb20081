#include "lib/dispatcher/load.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"

namespace fastcontainer {
namespace {

constexpr Nanos kSampleInterval = 250 * kMillisecond;
constexpr float kOverloadEnter = 60;
constexpr float kOverloadLeave = 40;

std::string ReadProc(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  char buffer[4096];
  const ssize_t length = read(fd, buffer, sizeof(buffer));
  close(fd);
  return length > 0 ? std::string(buffer, static_cast<size_t>(length)) : "";
}

std::string_view WordAfter(std::string_view text, std::string_view mark) {
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + mark.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_first_of(" \n"));
}

std::optional<float> LoadAveragePressure(float cpus) {
  float average = 0;
  const std::string text = ReadProc("/proc/loadavg");
  if (!absl::SimpleAtof(text.substr(0, text.find(' ')), &average)) return std::nullopt;
  return std::clamp((average - cpus) / cpus * 100, 0.0f, 100.0f);
}

}  // namespace

std::optional<float> ParsePressure(std::string_view text) {
  if (text.substr(0, 5) != "some ") return std::nullopt;
  const std::string_view word = WordAfter(text, "avg10=");
  float value = 0;
  if (!absl::SimpleAtof(absl::string_view(word.data(), word.size()), &value)) return std::nullopt;
  return std::clamp(value, 0.0f, 100.0f);
}

std::optional<uint64_t> ParseMemAvailable(std::string_view text) {
  const std::string_view word = WordAfter(text, "MemAvailable:");
  uint64_t kibibytes = 0;
  if (!absl::SimpleAtoi(absl::string_view(word.data(), word.size()), &kibibytes)) return std::nullopt;
  return kibibytes * 1024;
}

LoadReport MachineLoad::Read() {
  LoadReport report;
  const float cpus = static_cast<float>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  report.pressure =
      ParsePressure(ReadProc("/proc/pressure/cpu")).value_or(LoadAveragePressure(cpus).value_or(0));
  report.free_memory = ParseMemAvailable(ReadProc("/proc/meminfo")).value_or(0);
  unsigned long long user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  const std::string stat = ReadProc("/proc/stat");
  if (std::sscanf(stat.c_str(), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
                  &iowait, &irq, &softirq, &steal) == 8) {
    const uint64_t busy = user + nice + system + irq + softirq + steal;
    const uint64_t total = busy + idle + iowait;
    const uint64_t passed = total - total_;
    const float share = passed == 0 ? 0.0f : static_cast<float>(busy - busy_) / static_cast<float>(passed);
    report.free_cpu = cpus * (1 - std::clamp(share, 0.0f, 1.0f));
    busy_ = busy;
    total_ = total;
  }
  return report;
}

const LoadReport& LoadSampler::At(Nanos now) {
  if (now < due_) return last_;
  due_ = now + kSampleInterval;
  const bool was_overloaded = last_.overloaded;
  last_ = read_();
  last_.overloaded = last_.overloaded || last_.pressure >= (was_overloaded ? kOverloadLeave : kOverloadEnter);
  return last_;
}

}  // namespace fastcontainer
