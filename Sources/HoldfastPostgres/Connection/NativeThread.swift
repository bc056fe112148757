// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A detached thread that may block, which a thread of Swift's cooperative pool may not.
enum NativeThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// `false` when the system has no thread left; then `body` does not run.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        let context = Unmanaged.passRetained(Body(body))
        #if canImport(Darwin)
        var thread: pthread_t?
        let status = pthread_create(&thread, nil, { NativeThread.enter($0) }, context.toOpaque())
        guard status == 0, let thread else {
            context.release()
            return false
        }
        #else
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, { NativeThread.enter($0!) }, context.toOpaque())
        guard status == 0 else {
            context.release()
            return false
        }
        #endif
        pthread_detach(thread)
        return true
    }

    private static func enter(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        // Signals belong to the program's own threads.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        return nil
    }
}
