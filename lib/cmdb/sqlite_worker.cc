#include "lib/cmdb/sqlite_worker.h"

#include <signal.h>

#include <algorithm>
#include <utility>

namespace fastcontainer {
namespace {

// The program's signals are the program's threads' business.
std::thread StartWithoutSignals(absl::AnyInvocable<void()> run) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(run));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

SqliteWorker::SqliteWorker(std::unique_ptr<SqliteDatabase> database)
    : database_(std::move(database)), thread_(StartWithoutSignals([this] { Run(); })) {}

SqliteWorker::~SqliteWorker() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    give_up_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

SqliteWorker::JobId SqliteWorker::Submit(Job job) {
  JobId id = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    id = next_id_++;
    queue_.push_back({id, std::move(job)});
  }
  changed_.notify_one();
  return id;
}

SqliteWorker::Withdrawn SqliteWorker::Withdraw(JobId id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (running_ == id) {
    give_up_ = true;
    return Withdrawn::kRuns;
  }
  const auto waiting =
      std::find_if(queue_.begin(), queue_.end(), [id](const Entry& entry) { return entry.id == id; });
  if (waiting == queue_.end()) return Withdrawn::kHasRun;
  queue_.erase(waiting);
  return Withdrawn::kNeverRuns;
}

void SqliteWorker::Run() {
  database_->WaitForLocks(&give_up_);
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (stop_) return;
    {
      Entry entry = std::move(queue_.front());
      queue_.pop_front();
      running_ = entry.id;
      give_up_ = false;
      lock.unlock();
      entry.job(*database_);
    }
    lock.lock();
    running_ = 0;
  }
}

}  // namespace fastcontainer
