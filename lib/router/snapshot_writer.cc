#include "lib/router/snapshot_writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

absl::Status Errno(const char* what) {
  return absl::InternalError(absl::StrCat(what, ": ", strerror(errno)));
}

absl::Status WriteBytes(int fd, const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno("write");
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

// The new name is to outlive a power failure as well.
void SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

}  // namespace

SnapshotWriter::SnapshotWriter(std::string path, absl::AnyInvocable<void(absl::Status)> done)
    : path_(std::move(path)), temporary_(absl::StrCat(path_, ".new")), done_(std::move(done)) {
  // Signals are the application's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

SnapshotWriter::~SnapshotWriter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    abandoned_ = !finished_;
  }
  changed_.notify_one();
  thread_.join();
}

void SnapshotWriter::Add(std::string bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (failed_) return;
  queued_ += bytes.size();
  pieces_.push_back(std::move(bytes));
  changed_.notify_one();
}

void SnapshotWriter::Finish() {
  const std::lock_guard<std::mutex> lock(mutex_);
  finished_ = true;
  changed_.notify_one();
}

size_t SnapshotWriter::queued() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return queued_;
}

void SnapshotWriter::Run() {
  const absl::Status status = Write();
  if (!status.ok()) {
    unlink(temporary_.c_str());
    std::unique_lock<std::mutex> lock(mutex_);
    failed_ = true;
    pieces_.clear();
    queued_ = 0;
    changed_.wait(lock, [this] { return finished_ || abandoned_; });
  }
  done_(status);
}

absl::Status SnapshotWriter::Write() {
  unlink(temporary_.c_str());
  // Records may hold secrets of containers.
  const int fd = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return Errno("open");
  absl::Status status = WriteAll(fd);
  if (status.ok() && fsync(fd) != 0) status = Errno("fsync");
  if (close(fd) != 0 && status.ok()) status = Errno("close");
  if (status.ok() && rename(temporary_.c_str(), path_.c_str()) != 0) status = Errno("rename");
  if (status.ok()) SyncDirectoryOf(path_);
  return status;
}

absl::Status SnapshotWriter::WriteAll(int fd) {
  for (;;) {
    std::string piece;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return !pieces_.empty() || finished_ || abandoned_; });
      if (abandoned_) return absl::CancelledError("abandoned");
      if (pieces_.empty()) return absl::OkStatus();
      piece = std::move(pieces_.front());
      pieces_.pop_front();
    }
    if (absl::Status status = WriteBytes(fd, piece); !status.ok()) return status;
    const std::lock_guard<std::mutex> lock(mutex_);
    queued_ -= piece.size();
  }
}

}  // namespace fastcontainer
