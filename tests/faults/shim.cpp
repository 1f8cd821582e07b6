// Stands between a program and the C library (LD_PRELOAD) and makes its world worse, for the tests in this
// folder. What it does is said by the environment:
//
//   FAULTS_PREFIX  only files below this folder count
//   FAULTS_KIND    full      from the FAULTS_AT-th change on the disk is full (the first write is cut short)
//                  broken    the FAULTS_AT-th change fails once with EIO
//                  kill      the process kills itself before the FAULTS_AT-th change
//                  half      as kill, after half of the bytes when the change is a write
//                  readonly  nothing may be changed
//                  count     nothing happens
//   FAULTS_SPAN    full: there is room again after so many changes
//   FAULTS_COUNT   file that gets the number of changes at the end
//   FAULTS_LOG     file that gets every change with its bytes, and what is said on standard output, in order
//   FAULTS_CLOCK   "N:S": from the N-th look at the clock on it is S seconds off
//   FAULTS_MEMORY  "N": the N-th aligned allocation of at least 4,096 bytes fails; "<N": every one of more
//                  than N bytes does
//   FAULTS_THREADS no more than so many threads can be there beside the first
//
// A change is a write, a cut, a sync, a rename, or the making of a file or folder.

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

enum class Kind
{
    Count,
    Full,
    Broken,
    Kill,
    Half,
    ReadOnly
};
enum class Change
{
    Write,
    Cut,
    Sync,
    Rename,
    Make
};

struct World
{
    std::string prefix;
    Kind kind = Kind::Count;
    long at = 0, span = LONG_MAX;
    int log = -1;
    long clockAt = LONG_MAX, clockShift = 0;
    long memoryAt = 0, memoryMost = LONG_MAX, threadsMost = LONG_MAX;
    std::string countFile;
    std::recursive_mutex mutex;  // keeps the log in the order of the changes
    std::atomic<long> changes{0}, looks{0}, allocations{0}, threads{0};
};

const char* env(const char* name)
{
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

Kind kindFrom(const std::string& name)
{
    return name == "full"       ? Kind::Full
           : name == "broken"   ? Kind::Broken
           : name == "kill"     ? Kind::Kill
           : name == "half"     ? Kind::Half
           : name == "readonly" ? Kind::ReadOnly
                                : Kind::Count;
}

World* makeWorld()
{
    auto* world = new World;  // never deleted: calls go on while the process ends
    world->prefix = env("FAULTS_PREFIX");
    world->kind = kindFrom(env("FAULTS_KIND"));
    world->at = std::atol(env("FAULTS_AT"));
    if (*env("FAULTS_SPAN") != '\0')
        world->span = std::atol(env("FAULTS_SPAN"));
    world->countFile = env("FAULTS_COUNT");
    if (*env("FAULTS_LOG") != '\0')
        world->log = static_cast<int>(syscall(SYS_openat, AT_FDCWD, env("FAULTS_LOG"),
                                              O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
    if (const char* clock = env("FAULTS_CLOCK"); std::strchr(clock, ':') != nullptr) {
        world->clockAt = std::atol(clock);
        world->clockShift = std::atol(std::strchr(clock, ':') + 1);
    }
    const char* memory = env("FAULTS_MEMORY");
    if (*memory == '<')
        world->memoryMost = std::atol(memory + 1);
    else
        world->memoryAt = std::atol(memory);
    if (*env("FAULTS_THREADS") != '\0')
        world->threadsMost = std::atol(env("FAULTS_THREADS"));
    return world;
}

World& world()
{
    static World* const one = makeWorld();
    return *one;
}

template<class Function> Function real(const char* name)
{
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}
// The real function behind the one that is being defined.
#define REAL(name) static const auto next = real<decltype(&::name)>(#name)

std::string pathOfFd(int fd)
{
    char link[64], path[PATH_MAX];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = ::readlink(link, path, sizeof path);
    return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string();
}

std::string pathOf(int folder, const char* name)
{
    if (*name == '/')
        return name;
    if (folder != AT_FDCWD)
        return pathOfFd(folder) + "/" + name;
    char path[PATH_MAX];
    return std::string(::getcwd(path, sizeof path) != nullptr ? path : "") + "/" + name;
}

bool counts(const std::string& path)
{
    const auto& prefix = world().prefix;
    return !prefix.empty() && path.compare(0, prefix.size(), prefix) == 0;
}

void logRaw(const void* data, std::size_t size)
{
    if (world().log >= 0 && size > 0)
        syscall(SYS_write, world().log, data, size);
}

void logText(const std::string& line) { logRaw(line.data(), line.size()); }

unsigned long inodeOf(int fd)
{
    struct stat status = {};
    return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

bool exists(const std::string& path)
{
    struct stat status = {};
    return ::lstat(path.c_str(), &status) == 0;
}

/// Whether this change goes ahead; else errno is set. `cut`: a write is to stop half way.
bool allowed(Change change, bool* cut = nullptr)
{
    World& w = world();
    const long number = ++w.changes;
    const bool first = number == w.at;
    const bool fills = change == Change::Write || change == Change::Make;
    switch (w.kind) {
    case Kind::Count:
        return true;
    case Kind::ReadOnly:
        errno = EROFS;
        return false;
    case Kind::Full:
        if (number < w.at || number - w.at >= w.span || !fills)
            return true;
        if (first && cut != nullptr) {
            *cut = true;
            return true;
        }
        errno = ENOSPC;
        return false;
    case Kind::Broken:
        if (first)
            errno = EIO;
        return !first;
    case Kind::Half:
        if (first && cut != nullptr) {
            *cut = true;
            return true;
        }
        [[fallthrough]];
    case Kind::Kill:
        if (first)
            ::raise(SIGKILL);
        return true;
    }
    return true;
}

void afterCut()
{
    if (world().kind == Kind::Half)
        ::raise(SIGKILL);
}

template<class Write> ssize_t writing(int fd, const void* data, std::size_t size, off_t offset, Write write)
{
    if (!counts(pathOfFd(fd)))
        return write(size);
    const std::lock_guard lock(world().mutex);
    bool cut = false;
    if (!allowed(Change::Write, &cut))
        return -1;
    if (offset < 0) {
        struct stat status = {};
        ::fstat(fd, &status);
        offset = (::fcntl(fd, F_GETFL) & O_APPEND) != 0 ? status.st_size : ::lseek(fd, 0, SEEK_CUR);
    }
    const ssize_t done = write(cut ? size / 2 : size);
    if (done > 0) {
        logText("W " + std::to_string(inodeOf(fd)) + " " + std::to_string(offset) + " " + std::to_string(done) + "\n");
        logRaw(data, static_cast<std::size_t>(done));
    }
    if (cut)
        afterCut();
    return done;
}

/// What is said on standard output: a stream writes past the calls above.
void said(std::FILE* stream, const char* data, std::size_t size)
{
    if (stream != stdout || size == 0)
        return;
    const std::lock_guard lock(world().mutex);
    logText("A " + std::to_string(size) + "\n");
    logRaw(data, size);
}

template<class Open> int opening(int folder, const char* name, int flags, Open open)
{
    const std::string path = pathOf(folder, name);
    if (!counts(path))
        return open();
    const std::lock_guard lock(world().mutex);
    const bool fresh = (flags & O_CREAT) != 0 && !exists(path);
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (world().kind == Kind::ReadOnly && (writes || fresh)) {
        errno = EROFS;
        return -1;
    }
    if (fresh && !allowed(Change::Make))
        return -1;
    const int fd = open();
    if (fd >= 0 && fresh)
        logText("C " + std::to_string(inodeOf(fd)) + " " + path + "\n");
    else if (fd >= 0 && (flags & O_TRUNC) != 0 && writes)
        logText("T " + std::to_string(inodeOf(fd)) + " 0\n");
    return fd;
}

template<class Sync> int syncing(int fd, Sync sync)
{
    const std::string path = pathOfFd(fd);
    if (!counts(path))
        return sync();
    const std::lock_guard lock(world().mutex);
    if (!allowed(Change::Sync))
        return -1;
    const int done = sync();
    struct stat status = {};
    ::fstat(fd, &status);
    if (done == 0)
        logText(S_ISDIR(status.st_mode) ? "D " + path + "\n" : "S " + std::to_string(status.st_ino) + "\n");
    return done;
}

/// Renames, removals and new folders: one line in the log when they went well.
template<class Act> int changing(const std::string& path, bool counted, Change change, const std::string& line, Act act)
{
    if (!counts(path))
        return act();
    const std::lock_guard lock(world().mutex);
    if (world().kind == Kind::ReadOnly) {
        errno = EROFS;
        return -1;
    }
    if (counted && !allowed(change))
        return -1;
    const int done = act();
    if (done == 0)
        logText(line + "\n");
    return done;
}

template<class Cut> int cutting(int fd, off_t size, Cut cut)
{
    if (!counts(pathOfFd(fd)))
        return cut();
    const std::lock_guard lock(world().mutex);
    if (!allowed(Change::Cut))
        return -1;
    const int done = cut();
    if (done == 0)
        logText("T " + std::to_string(inodeOf(fd)) + " " + std::to_string(size) + "\n");
    return done;
}

mode_t modeOf(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

struct Thread
{
    void* (*body)(void*);
    void* argument;
};

void* counted(void* given)
{
    const std::unique_ptr<Thread> thread(static_cast<Thread*>(given));
    void* const result = thread->body(thread->argument);
    --world().threads;
    return result;
}

[[gnu::destructor]] void sayCount()
{
    if (world().countFile.empty())
        return;
    if (std::FILE* file = std::fopen(world().countFile.c_str(), "w")) {
        std::fprintf(file, "%ld %ld\n", world().changes.load(), world().allocations.load());
        std::fclose(file);
    }
}

} // namespace

extern "C" {

int open(const char* name, int flags, ...)
{
    REAL(open);
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = modeOf(flags, arguments);
    va_end(arguments);
    return opening(AT_FDCWD, name, flags, [&] { return next(name, flags, mode); });
}

int open64(const char* name, int flags, ...)
{
    REAL(open64);
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = modeOf(flags, arguments);
    va_end(arguments);
    return opening(AT_FDCWD, name, flags, [&] { return next(name, flags, mode); });
}

int openat(int folder, const char* name, int flags, ...)
{
    REAL(openat);
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = modeOf(flags, arguments);
    va_end(arguments);
    return opening(folder, name, flags, [&] { return next(folder, name, flags, mode); });
}

std::FILE* fopen64(const char* name, const char* mode)
{
    REAL(fopen64);
    const std::string path = pathOf(AT_FDCWD, name);
    if (!counts(path) || *mode == 'r')
        return next(name, mode);
    const std::lock_guard lock(world().mutex);
    const bool fresh = !exists(path);
    if (!allowed(Change::Make))
        return nullptr;
    std::FILE* file = next(name, mode);
    if (file != nullptr && (fresh || *mode == 'w'))
        logText((fresh ? "C " : "T ") + std::to_string(inodeOf(::fileno(file))) + (fresh ? " " + path : " 0") + "\n");
    return file;
}

std::size_t fwrite(const void* data, std::size_t size, std::size_t count, std::FILE* stream)
{
    REAL(fwrite);
    said(stream, static_cast<const char*>(data), size * count);
    return next(data, size, count, stream);
}

int fputs(const char* text, std::FILE* stream)
{
    REAL(fputs);
    said(stream, text, std::strlen(text));
    return next(text, stream);
}

ssize_t write(int fd, const void* data, std::size_t size)
{
    REAL(write);
    return writing(fd, data, size, -1, [&](std::size_t count) { return next(fd, data, count); });
}

ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset)
{
    REAL(pwrite);
    return writing(fd, data, size, offset, [&](std::size_t count) { return next(fd, data, count, offset); });
}

ssize_t pwrite64(int fd, const void* data, std::size_t size, off64_t offset)
{
    REAL(pwrite64);
    return writing(fd, data, size, offset, [&](std::size_t count) { return next(fd, data, count, offset); });
}

ssize_t writev(int fd, const iovec* parts, int count)
{
    std::string all;
    for (int i = 0; i < count; ++i)
        all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    return write(fd, all.data(), all.size());
}

// Copies inside the kernel would pass by; the callers fall back to writing.
ssize_t sendfile(int, int, off_t*, std::size_t)
{
    errno = EINVAL;
    return -1;
}
ssize_t sendfile64(int, int, off64_t*, std::size_t)
{
    errno = EINVAL;
    return -1;
}
ssize_t copy_file_range(int, off64_t*, int, off64_t*, std::size_t, unsigned)
{
    errno = EINVAL;
    return -1;
}

int ftruncate(int fd, off_t size) noexcept
{
    REAL(ftruncate);
    return cutting(fd, size, [&] { return next(fd, size); });
}

int ftruncate64(int fd, off64_t size) noexcept
{
    REAL(ftruncate64);
    return cutting(fd, size, [&] { return next(fd, size); });
}

int fsync(int fd)
{
    REAL(fsync);
    return syncing(fd, [&] { return next(fd); });
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    return syncing(fd, [&] { return next(fd); });
}

int rename(const char* from, const char* to) noexcept
{
    REAL(rename);
    const auto one = pathOf(AT_FDCWD, from), other = pathOf(AT_FDCWD, to);
    return changing(other, true, Change::Rename, "R " + one + "\t" + other, [&] { return next(from, to); });
}

int renameat2(int fromFolder, const char* from, int toFolder, const char* to, unsigned flags) noexcept
{
    REAL(renameat2);
    const auto one = pathOf(fromFolder, from), other = pathOf(toFolder, to);
    return changing(other, true, Change::Rename, ((flags & RENAME_EXCHANGE) != 0 ? "X " : "R ") + one + "\t" + other,
                    [&] { return next(fromFolder, from, toFolder, to, flags); });
}

int mkdir(const char* name, mode_t mode) noexcept
{
    REAL(mkdir);
    const auto path = pathOf(AT_FDCWD, name);
    return changing(path, !exists(path), Change::Make, "M " + path, [&] { return next(name, mode); });
}

int unlink(const char* name) noexcept
{
    REAL(unlink);
    const auto path = pathOf(AT_FDCWD, name);
    return changing(path, false, Change::Rename, "U " + path, [&] { return next(name); });
}

int rmdir(const char* name) noexcept
{
    REAL(rmdir);
    const auto path = pathOf(AT_FDCWD, name);
    return changing(path, false, Change::Rename, "K " + path, [&] { return next(name); });
}

int unlinkat(int folder, const char* name, int flags) noexcept
{
    REAL(unlinkat);
    const auto path = pathOf(folder, name);
    return changing(path, false, Change::Rename, ((flags & AT_REMOVEDIR) != 0 ? "K " : "U ") + path,
                    [&] { return next(folder, name, flags); });
}

int remove(const char* name) noexcept
{
    struct stat status = {};
    if (::lstat(name, &status) != 0)
        return -1;
    return S_ISDIR(status.st_mode) ? rmdir(name) : unlink(name);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept
{
    REAL(clock_gettime);
    const int done = next(clock, time);
    if (done == 0 && clock == CLOCK_REALTIME && ++world().looks >= world().clockAt)
        time->tv_sec += world().clockShift;
    return done;
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept
{
    REAL(posix_memalign);
    if (size >= 4096) {
        const long number = ++world().allocations;
        if (number == world().memoryAt || size > static_cast<unsigned long>(world().memoryMost))
            return ENOMEM;
    }
    return next(memory, alignment, size);
}

int pthread_create(pthread_t* id, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) noexcept
{
    REAL(pthread_create);
    if (++world().threads > world().threadsMost) {
        --world().threads;
        return EAGAIN;
    }
    auto thread = std::make_unique<Thread>(Thread{body, argument});
    const int done = next(id, attributes, counted, thread.get());
    if (done == 0)
        thread.release(); // the thread's own
    else
        --world().threads;
    return done;
}

} // extern "C"
