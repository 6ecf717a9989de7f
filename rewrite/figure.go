package rewrite

import pg "github.com/pganalyze/pg_query_go/v5"

// figure gives the name that PostgreSQL gives to a target without one (FigureColname in parse_target.c), and the column reference that the
// name comes from, if it does. strength is 0 for "?column?", 1 for a name of last resort, 2 for a good one.
func figure(n *pg.Node) (name string, from *pg.ColumnRef, strength int) {
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		for i := len(x.ColumnRef.Fields) - 1; i >= 0; i-- {
			if s := x.ColumnRef.Fields[i].GetString_(); s != nil {
				return s.Sval, x.ColumnRef, 2
			}
		}
	case *pg.Node_AIndirection:
		for i := len(x.AIndirection.Indirection) - 1; i >= 0; i-- {
			if s := x.AIndirection.Indirection[i].GetString_(); s != nil {
				return s.Sval, x.AIndirection.Arg.GetColumnRef(), 2
			}
		}
		return figure(x.AIndirection.Arg)
	case *pg.Node_FuncCall:
		return strOf(x.FuncCall.Funcname[len(x.FuncCall.Funcname)-1]), nil, 2
	case *pg.Node_AExpr:
		if x.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", nil, 2
		}
	case *pg.Node_TypeCast:
		name, from, strength = figure(x.TypeCast.Arg)
		if names := x.TypeCast.TypeName.GetNames(); strength <= 1 && len(names) > 0 {
			return strOf(names[len(names)-1]), nil, 1
		}
		return name, from, strength
	case *pg.Node_CollateClause:
		return figure(x.CollateClause.Arg)
	case *pg.Node_GroupingFunc:
		return "grouping", nil, 2
	case *pg.Node_SubLink:
		switch x.SubLink.SubLinkType {
		case pg.SubLinkType_EXISTS_SUBLINK:
			return "exists", nil, 2
		case pg.SubLinkType_ARRAY_SUBLINK:
			return "array", nil, 2
		case pg.SubLinkType_EXPR_SUBLINK:
			return subName(x.SubLink.Subselect), nil, 2
		}
	case *pg.Node_CaseExpr:
		name, from, strength = figure(x.CaseExpr.Defresult)
		if strength <= 1 {
			return "case", nil, 1
		}
		return name, from, strength
	case *pg.Node_AArrayExpr:
		return "array", nil, 2
	case *pg.Node_RowExpr:
		return "row", nil, 2
	case *pg.Node_CoalesceExpr:
		return "coalesce", nil, 2
	case *pg.Node_MinMaxExpr:
		if x.MinMaxExpr.Op == pg.MinMaxOp_IS_LEAST {
			return "least", nil, 2
		}
		return "greatest", nil, 2
	case *pg.Node_SqlvalueFunction:
		return "", nil, 2 // some key word, never a migrating column's name as a reference
	case *pg.Node_XmlExpr, *pg.Node_XmlSerialize:
		return "", nil, 2
	}
	return "?column?", nil, 0
}

// subName gives the name of a scalar sub-select's column.
func subName(n *pg.Node) string {
	s := n.GetSelectStmt()
	for s.GetLarg() != nil {
		s = s.Larg
	}
	if s == nil || len(s.TargetList) == 0 {
		if s != nil && len(s.ValuesLists) > 0 {
			return "column1"
		}
		return ""
	}
	t := s.TargetList[0].GetResTarget()
	if t.Name != "" {
		return t.Name
	}
	name, _, _ := figure(t.Val)
	return name
}
