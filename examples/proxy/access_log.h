// One JSON line for each request, collected and written in large pieces. The proxy does not wait for whoever
// reads the log: what a full pipe does not take in time is dropped, and counted.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_ACCESS_LOG_H_
#define FASTCONTAINER_EXAMPLES_PROXY_ACCESS_LOG_H_

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace proxy {

struct LogEntry {
  std::string_view client;
  std::string_view method;
  std::string_view key;
  std::string_view target;
  std::string_view container;
  std::string_view host;
  std::string_view reason;  // of the route
  std::string_view error;   // empty: none
  int status = 0;           // 0: the connection was aborted within the response
  uint32_t attempts = 0;
  bool reused = false;    // the upstream connection
  uint64_t bytes_in = 0;  // of the bodies
  uint64_t bytes_out = 0;
  // Phases, ns
  uint64_t queue = 0, lookup = 0, probe = 0, swap = 0, start = 0, connect = 0, first_byte = 0, total = 0;
};

class AccessLog {
 public:
  AccessLog() = default;
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // "-": standard output, "off": none. False, and *error, if the file cannot be opened.
  bool Open(const std::string& path, std::string* error);
  // After the file has been renamed: the same path again.
  void Reopen();
  bool on() const { return fd_ >= 0; }
  void Write(const LogEntry& entry);
  void Flush();
  uint64_t dropped() const { return dropped_; }

 private:
  void AppendTime();

  int fd_ = -1;
  bool regular_ = false;  // a plain file: writing does not wait for a reader
  std::string path_;
  std::string text_;
  std::time_t second_ = 0;
  std::string stamp_;  // of second_
  uint64_t dropped_ = 0;
};

void AppendJsonString(std::string_view value, std::string* text);

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_ACCESS_LOG_H_
