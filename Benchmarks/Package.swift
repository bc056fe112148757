// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import PackageDescription

let package = Package(
    name: "holdfast-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "holdfast", path: ".."),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    ],
    targets: [
        .executableTarget(
            name: "holdfast-bench",
            dependencies: [
                .product(name: "Holdfast", package: "holdfast"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Sources/HoldfastBench",
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
            ]
        )
    ]
)
