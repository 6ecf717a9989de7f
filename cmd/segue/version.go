package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says which build this is: the module's version, or the commit that it was built from.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "devel"
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && len(s.Value) >= 12:
				version += "-" + s.Value[:12]
			case s.Key == "vcs.modified" && s.Value == "true":
				version += "+changed"
			}
		}
	}
	return version
}

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Say which build this is", Args: usageArgs(cobra.NoArgs)}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"version": build(), "go": runtime.Version()})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "segue %s (%s)\n", build(), runtime.Version())
		return err
	}
	return cmd
}
