#include "examples/proxy/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace proxy {

namespace {

constexpr size_t kFlushAt = 64 * 1024;
constexpr size_t kDropAt = 1024 * 1024;
// POLLOUT on a pipe promises room for so much (POSIX: PIPE_BUF; pipe(7): 4,096 on Linux).
constexpr size_t kPipeBytes = 4096;

void AppendNumber(uint64_t value, std::string* text) {
  char digits[20];
  const char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  text->append(digits, static_cast<size_t>(end - digits));
}

void AppendField(std::string_view name, std::string_view value, std::string* text) {
  text->append(",\"").append(name).append("\":");
  AppendJsonString(value, text);
}

void AppendField(std::string_view name, uint64_t value, std::string* text) {
  text->append(",\"").append(name).append("\":");
  AppendNumber(value, text);
}

bool CanTakeMore(int fd) {
  pollfd ready{fd, POLLOUT, 0};
  return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0;
}

}  // namespace

void AppendJsonString(std::string_view value, std::string* text) {
  text->push_back('"');
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text->push_back('\\');
      text->push_back(c);
    } else if (byte >= 0x20 && byte < 0x7f) {
      text->push_back(c);
    } else {
      // Bytes that need not be UTF-8: shown as the characters of Latin-1.
      static const char kHex[] = "0123456789abcdef";
      text->append("\\u00").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  text->push_back('"');
}

AccessLog::~AccessLog() {
  Flush();
  if (fd_ > STDERR_FILENO) close(fd_);
}

bool AccessLog::Open(const std::string& path, std::string* error) {
  if (path == "off") return true;
  path_ = path;
  fd_ = path == "-" ? STDOUT_FILENO : open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd_ < 0) {
    *error = path + ": " + std::strerror(errno);
    return false;
  }
  struct stat status {};
  regular_ = fstat(fd_, &status) == 0 && (S_ISREG(status.st_mode) || S_ISCHR(status.st_mode));
  text_.reserve(2 * kFlushAt);
  return true;
}

void AccessLog::Reopen() {
  if (fd_ <= STDERR_FILENO) return;
  Flush();
  const int fresh = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fresh < 0) return;
  close(fd_);
  fd_ = fresh;
}

void AccessLog::AppendTime() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec != second_ || stamp_.empty()) {
    second_ = now.tv_sec;
    tm utc{};
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    stamp_.assign(stamp, std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S.", &utc));
  }
  const long ms = now.tv_nsec / 1000000;
  const char digits[4] = {static_cast<char>('0' + ms / 100), static_cast<char>('0' + ms / 10 % 10),
                          static_cast<char>('0' + ms % 10), 'Z'};
  text_.append(stamp_).append(digits, sizeof digits);
}

void AccessLog::Write(const LogEntry& entry) {
  if (fd_ < 0) return;
  if (text_.size() > kDropAt) {
    ++dropped_;
    return;
  }
  text_.append("{\"time\":\"");
  AppendTime();
  text_.push_back('"');
  AppendField("client", entry.client, &text_);
  AppendField("method", entry.method, &text_);
  AppendField("key", entry.key, &text_);
  AppendField("target", entry.target, &text_);
  AppendField("status", static_cast<uint64_t>(entry.status), &text_);
  AppendField("container", entry.container, &text_);
  AppendField("host", entry.host, &text_);
  AppendField("reason", entry.reason, &text_);
  if (!entry.error.empty()) AppendField("error", entry.error, &text_);
  AppendField("attempts", uint64_t{entry.attempts}, &text_);
  text_.append(entry.reused ? ",\"reused\":true" : ",\"reused\":false");
  AppendField("bytes_in", entry.bytes_in, &text_);
  AppendField("bytes_out", entry.bytes_out, &text_);
  AppendField("queue_us", entry.queue / 1000, &text_);
  AppendField("lookup_us", entry.lookup / 1000, &text_);
  AppendField("probe_us", entry.probe / 1000, &text_);
  AppendField("swap_us", entry.swap / 1000, &text_);
  AppendField("start_us", entry.start / 1000, &text_);
  AppendField("connect_us", entry.connect / 1000, &text_);
  AppendField("first_byte_us", entry.first_byte / 1000, &text_);
  AppendField("total_us", entry.total / 1000, &text_);
  text_.append("}\n");
  if (text_.size() >= kFlushAt) Flush();
}

void AccessLog::Flush() {
  size_t done = 0;
  while (done < text_.size()) {
    if (!regular_ && !CanTakeMore(fd_)) break;
    const size_t size = regular_ ? text_.size() - done : std::min(kPipeBytes, text_.size() - done);
    const ssize_t written = write(fd_, text_.data() + done, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      // Nobody reads it any more, or the disk is full.
      dropped_ += static_cast<uint64_t>(
          std::count(text_.begin() + static_cast<std::ptrdiff_t>(done), text_.end(), '\n'));
      done = text_.size();
      break;
    }
    done += static_cast<size_t>(written);
  }
  text_.erase(0, done);
}

}  // namespace proxy
